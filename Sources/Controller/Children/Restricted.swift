/// The security contexts by which a pod passes the restricted Pod Security Standard, with the image's user.
import PoolAPI

enum Restricted {
    /// The user and group that the image makes.
    private static let user: JSONValue = 65532

    static let pod: JSONValue = [
        "runAsNonRoot": true, "runAsUser": user, "runAsGroup": user, "fsGroup": user,
        // A volume with many files would be walked at every start.
        "fsGroupChangePolicy": "OnRootMismatch", "seccompProfile": ["type": "RuntimeDefault"],
    ]

    static let container: JSONValue = [
        "allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true, "capabilities": ["drop": ["ALL"]],
    ]
}
