/// Decides which files a worker's container gets: its configuration, and just the Secrets and ConfigMaps that the pool names.
import Crypto
import PoolAPI

struct MountedFiles {
    private(set) var volumes: [JSONValue]
    private(set) var mounts: [JSONValue]

    /// Read by the owner and the group, 0440 in octal.
    private static let mode: JSONValue = 288

    init(_ spec: AgentPoolSpec, config: String) {
        volumes = [["name": "config", "configMap": ["name": .string(config), "defaultMode": Self.mode]]]
        mounts = [["name": "config", "mountPath": .string(WorkerPath.config), "readOnly": true]]
        for secret in Self.secrets(of: spec) {
            add(
                Self.volumeName("secret", secret), at: "\(WorkerPath.secrets)/\(secret)",
                ["secret": ["secretName": .string(secret), "defaultMode": Self.mode]])
        }
        for map in Set(spec.skills.map(\.configMapRef.name)).sorted() {
            add(
                Self.volumeName("skill", map), at: "\(WorkerPath.skills)/\(map)",
                ["configMap": ["name": .string(map), "defaultMode": Self.mode]])
        }
    }

    private mutating func add(_ name: String, at path: String, _ source: [String: JSONValue]) {
        volumes.append(.object(source.merging(["name": .string(name)]) { _, name in name }))
        mounts.append(["name": .string(name), "mountPath": .string(path), "readOnly": true])
    }

    /// Every Secret that a worker reads, by name.
    private static func secrets(of spec: AgentPoolSpec) -> [String] {
        let redis = spec.memory.redis
        let names: [String?] =
            spec.models.map(\.apiKeySecretRef?.name) + spec.mcpServers.map(\.headersSecretRef?.name) + [
                redis?.secretRef?.name, redis?.tls?.caSecretRef?.name, redis?.tls?.certificateSecretRef?.name,
                spec.memory.milvus?.secretRef?.name, spec.auth.apiKeysSecretRef?.name,
            ]
        return Set(names.compactMap { $0 }).sorted()
    }

    /// A volume's name is a label of 63 characters at most; an object's may be longer and have dots.
    private static func volumeName(_ prefix: String, _ object: String) -> String {
        let name = "\(prefix)-\(object)"
        if name.utf8.count <= 63, !object.contains(".") { return name }
        let digest = SHA256.hash(data: Array(object.utf8)).prefix(6).map { byte in
            (byte < 16 ? "0" : "") + String(byte, radix: 16)
        }.joined()
        return "\(prefix)-\(object.prefix(40).replacing(".", with: "-"))-\(digest)"
    }
}
