// Owns the configuration file that stands between controller and worker, and its versions.
import Foundation

/// What the controller writes for a worker to read: the pool's name and its complete specification, under a version.
public struct WorkerConfig: Codable, Sendable, Equatable {
    /// The version that this build writes. It reads this one and the one before.
    public static let currentVersion = 1

    public private(set) var version: Int
    public var pool: PoolReference
    /// With every default filled in.
    public var spec: AgentPoolSpec

    public init(pool: PoolReference, spec: AgentPoolSpec) {
        self.version = Self.currentVersion
        self.pool = pool
        self.spec = spec
    }

    /// The versions that a build of the given version reads.
    static func readableVersions(by version: Int) -> ClosedRange<Int> { max(1, version - 1)...version }

    /// Reads a configuration in JSON or YAML and validates it.
    ///
    /// A field that came with this version and is absent from an older configuration takes its default.
    /// - Parameter file: The name that errors give; it is not opened.
    /// - Throws: All problems found, together; only the version's own where this build does not read it.
    public static func decode(_ text: String, file: String? = nil) throws(ManifestError) -> WorkerConfig {
        var reader = ManifestReader(file: file, servedIn: .cluster)
        let document = try Self.document(in: text, file: file)
        if case .integer(let version)? = document.json["version"] {
            let readable = readableVersions(by: currentVersion)
            if !readable.contains(version) {
                let mend =
                    version > readable.upperBound
                    ? "run a newer agentpool, or let its own controller write the configuration"
                    : "write the configuration again with this version's controller"
                throw ManifestError(problems: [
                    .init(
                        file: file, path: "version",
                        message:
                            "the version \(version) is not readable by this agentpool, which reads \(readable.text)",
                        mend: mend)
                ])
            }
        }
        let config = reader.read(
            document, ManifestSchema.workerConfig, as: WorkerConfig.self, spec: \.spec,
            pool: { PoolReference($0["pool"]) })
        guard let config, reader.problems.isEmpty else { throw ManifestError(problems: reader.problems) }
        return config
    }

    /// JSON with sorted keys: equal configurations give equal bytes.
    public func encoded() throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return String(decoding: try encoder.encode(self), as: UTF8.self)
    }

    /// JSON is read as JSON: YAML forbids characters that a JSON string may hold.
    private static func document(in text: String, file: String?) throws(ManifestError) -> LocatedValue {
        if text.first(where: { !$0.isWhitespace }) == "{",
            // A text that only looks like JSON goes on to the YAML reader, which names the place of the error.
            let json = try? JSONDecoder().decode(JSONValue.self, from: Data(text.utf8))
        {
            return LocatedValue(json)
        }
        let documents = try YAMLReader.documents(in: text, file: file)
        guard documents.count == 1, let document = documents.first else {
            throw ManifestError(problems: [
                .init(
                    file: file, path: "", message: "holds \(documents.count) documents",
                    mend: "write one document")
            ])
        }
        return document
    }
}

extension ClosedRange<Int> {
    fileprivate var text: String {
        lowerBound == upperBound ? "version \(lowerBound)" : "versions \(lowerBound) to \(upperBound)"
    }
}
