/// Decides which files a worker's container gets: its configuration, and just the Secrets and skills that the pool names.
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
        for skill in spec.skills.sorted(by: { $0.name < $1.name }) { add(skill) }
    }

    /// A pod starts without a ConfigMap that isn't there: its worker says so, and reads the skill once there is one.
    private mutating func add(_ skill: AgentPoolSpec.Skill) {
        let path = "\(WorkerPath.skills)/\(skill.name)"
        if let map = skill.configMapRef {
            var source: [String: JSONValue] = [
                "name": .string(map.name), "defaultMode": Self.mode, "optional": true,
            ]
            if let items = map.items {
                source["items"] = .array(
                    items.map { ["key": .string($0.key), "path": .string($0.path)] })
            }
            add(Self.volumeName("skill", skill.name), at: path, ["configMap": .object(source)])
        } else if let claim = skill.volume {
            let name = Self.volumeName("claim", claim.claimName)
            if !volumes.contains(where: { $0["name"] == .string(name) }) {
                volumes.append([
                    "name": .string(name),
                    "persistentVolumeClaim": ["claimName": .string(claim.claimName), "readOnly": true],
                ])
            }
            var mount: [String: JSONValue] = [
                "name": .string(name), "mountPath": .string(path), "readOnly": true,
            ]
            mount["subPath"] = claim.subPath.map(JSONValue.string)
            mounts.append(.object(mount))
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
            spec.models.map(\.apiKeySecretRef?.name) + spec.mcpServers.map(\.headersSecretRef?.name)
            + (spec.workflow?.nodes ?? []).map(\.httpCall?.headersSecretRef?.name) + [
                redis?.secretRef?.name, redis?.tls?.caSecretRef?.name, redis?.tls?.certificateSecretRef?.name,
                spec.memory.milvus?.secretRef?.name, spec.auth.apiKeysSecretRef?.name,
                spec.guard.moderation?.apiKeySecretRef?.name,
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
