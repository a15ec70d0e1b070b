// Access from within a pod, by its service account.

import Transport

extension ClusterAccess {
    /// Where the kubelet puts a service account's files.
    public static let serviceAccountDirectory = "/var/run/secrets/kubernetes.io/serviceaccount"

    /// Whether the environment is that of a pod whose cluster tells it where its API is.
    public static func isInCluster(environment: [String: String]) -> Bool {
        environment["KUBERNETES_SERVICE_HOST"]?.isEmpty == false
            && environment["KUBERNETES_SERVICE_PORT"]?.isEmpty == false
    }

    /// The token is read again from its file as the kubelet renews it; the authorities are read once.
    public static func inCluster(
        environment: [String: String], directory: String = serviceAccountDirectory
    ) throws(ClusterAccessError) -> ClusterAccess {
        guard let host = environment["KUBERNETES_SERVICE_HOST"], !host.isEmpty,
            let port = environment["KUBERNETES_SERVICE_PORT"], !port.isEmpty
        else {
            throw ClusterAccessError(
                "not in a cluster: KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are not set")
        }
        let authorities = try SmallFile.read("\(directory)/ca.crt", "the cluster's certificate authorities")
        // Seen now rather than at the first request, for it tells a pod without a token what it lacks.
        _ = try SmallFile.text("\(directory)/token", "the service account's token")
        let namespace = try SmallFile.text("\(directory)/namespace", "the pod's namespace")
        let address = host.contains(":") ? "[\(host)]" : host
        return ClusterAccess(
            server: "https://\(address):\(port)", tls: TLSSettings(authorities: authorities),
            source: .file("\(directory)/token"), namespace: namespace)
    }
}
