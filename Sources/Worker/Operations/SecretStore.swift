/// Where secrets come from: the documents of a manifest file, or files that the platform mounts and changes.
import Foundation
import PoolAPI
import Synchronization

public final class SecretStore: Sendable {
    public enum Source: Sendable {
        /// By Secret name, then key.
        case values([String: [String: String]])
        /// `DIRECTORY/<Secret>/<key>`, as Kubernetes mounts them.
        case directory(String)
    }

    /// How old a file's content may be before it is read again.
    public static let freshness: Duration = .seconds(5)

    private let source: Source
    private let cache = Mutex<[String: (keys: [String: String]?, at: ContinuousClock.Instant)]>([:])

    public init(_ source: Source) {
        self.source = source
    }

    /// All keys of a Secret; `nil` where there is no such Secret.
    public func secret(_ name: String) -> [String: String]? {
        switch source {
        case .values(let secrets): return secrets[name]
        case .directory(let root):
            return cache.withLock { cache in
                if let hit = cache[name], hit.at.duration(to: .now) < Self.freshness { return hit.keys }
                let keys = Self.read(root + "/" + name)
                cache[name] = (keys, .now)
                return keys
            }
        }
    }

    /// Where a key is mounted as a file; `nil` where it isn't.
    func path(_ secret: String, _ key: String) -> String? {
        guard case .directory(let root) = source else { return nil }
        let path = "\(root)/\(secret)/\(key)"
        return FileManager.default.fileExists(atPath: path) ? path : nil
    }

    public func value(_ reference: SecretKeyRef) -> String? {
        secret(reference.name)?[reference.key]
    }

    /// Names that begin with a dot are the mount's own bookkeeping.
    private static func read(_ directory: String) -> [String: String]? {
        // A Secret that is not mounted, or not yet, is an absent one; whoever needs it says so.
        guard let names = try? FileManager.default.contentsOfDirectory(atPath: directory) else { return nil }
        var keys: [String: String] = [:]
        for name in names where !name.hasPrefix(".") {
            // A file replaced while the directory is read is found at the next reading.
            keys[name] = try? String(contentsOfFile: directory + "/" + name, encoding: .utf8)
        }
        return keys
    }
}
