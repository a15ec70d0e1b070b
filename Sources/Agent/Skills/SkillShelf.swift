/// Owns the pool's skills as they are in their folders now: reads what is new, and keeps the last reading of the rest.
import Logging
import Memory
import Synchronization

/// A skill as it was read last.
struct Skill: Sendable, Equatable {
    var name: String
    var description: String
    var compatibility: String?
    var guide: String
    /// There is more of the guide in its file.
    var isCut: Bool
    var files: SkillFolder.Listing
    /// Changes with the guide.
    var version: String
}

/// Safe to use from any task. Turns read what is in memory; only `refresh` and the reading of files touch the file system.
public final class SkillShelf: Sendable {
    /// How often `refresh` is to be called.
    public static let freshness: Duration = .seconds(1)

    private struct Entry {
        var fingerprint: SkillFolder.Fingerprint?
        var skill: Skill?
        /// Of the file; warnings are given once for each.
        var content: Digest128?
    }

    private let folders: [(name: String, folder: SkillFolder)]
    private let entries = Mutex<[String: Entry]>([:])
    private let logger: Logger

    /// - Parameter folders: the skills' folders by the names that the manifest gives them. Nothing is read yet.
    public init(_ folders: [String: String] = [:], logger: Logger) {
        self.folders = folders.sorted { $0.key < $1.key }.map { ($0.key, SkillFolder(path: $0.value)) }
        self.logger = logger
    }

    public var isEmpty: Bool { folders.isEmpty }

    /// Reads those skills anew whose SKILL.md is another than before. One call at a time; blocks as long as the file system does.
    public func refresh() {
        for (name, folder) in folders {
            let fingerprint = folder.fingerprint()
            let before = entries.withLock { $0[name] }
            if let before, before.fingerprint == fingerprint { continue }
            guard fingerprint != nil else {
                warn(
                    name,
                    [
                        "there is no \(SkillFolder.fileName) in \(folder.path): it is left out until there is one"
                    ])
                entries.withLock { $0[name] = Entry() }
                continue
            }
            let (entry, warnings) = reading(of: folder, named: name, fingerprint)
            if before?.content == nil || before?.content != entry.content { warn(name, warnings) }
            entries.withLock { $0[name] = entry }
        }
    }

    private func reading(
        of folder: SkillFolder, named name: String, _ fingerprint: SkillFolder.Fingerprint?
    ) -> (Entry, warnings: [String]) {
        var entry = Entry(fingerprint: fingerprint)
        do {
            let (bytes, size) = try Self.content(of: folder)
            entry.content = Digest128(parts: [String(decoding: bytes, as: UTF8.self)])
            let file = try SkillFile(bytes, name: name, isWhole: size <= bytes.count)
            entry.skill = Skill(
                name: name, description: file.description, compatibility: file.compatibility,
                guide: file.guide,
                isCut: file.isCut, files: folder.listing(),
                version: Digest128(parts: ["skill", file.guide]).description)
            return (entry, file.warnings)
        } catch let fault as SkillFolder.Fault {
            return (entry, ["it is left out: \(fault.text)"])
        } catch {
            return (
                entry, ["it is left out: \((error as? SkillFile.Unreadable)?.reason ?? "it can't be read")"]
            )
        }
    }

    private static func content(of folder: SkillFolder) throws(SkillFolder.Fault) -> (
        bytes: [UInt8], size: Int
    ) {
        do { return try folder.read(SkillFolder.fileName, limit: SkillFile.sizeLimit) } catch {
            // A volume that was replaced at this moment is there the next.
            return try folder.read(SkillFolder.fileName, limit: SkillFile.sizeLimit)
        }
    }

    /// Nil where it can't be read.
    func skill(_ name: String) -> Skill? { entries.withLock { $0[name]?.skill } }

    /// The same with its files listed anew.
    func opened(_ name: String) -> Skill? {
        guard skill(name) != nil, let files = folder(name)?.listing() else { return nil }
        return entries.withLock { entries in
            entries[name]?.skill?.files = files
            return entries[name]?.skill
        }
    }

    func folder(_ name: String) -> SkillFolder? { folders.first { $0.name == name }?.folder }

    private func warn(_ name: String, _ warnings: [String]) {
        for warning in warnings {
            logger.warning(
                "a skill is not as it should be", metadata: ["skill": "\(name)", "reason": "\(warning)"])
        }
    }
}
