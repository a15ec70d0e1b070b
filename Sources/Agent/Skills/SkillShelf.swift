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

/// Safe to use from any task. Turns read what is in memory; only `refresh`, the listing and the reading of files touch the file system,
/// each folder's on a thread of its own.
public final class SkillShelf: Sendable {
    /// How often `refresh` is to be called.
    public static let freshness: Duration = .seconds(1)

    /// What was seen of SKILL.md last.
    private enum Seen: Sendable, Equatable {
        case nothing, missing
        case file(SkillFolder.Fingerprint)
    }

    private struct Entry: Sendable {
        var seen = Seen.nothing
        var skill: Skill?
        /// Of the file; warnings are given once for each.
        var content: Digest128?
        /// The folder did not answer when it was looked at last.
        var isSilent = false
    }

    private struct Shelved: Sendable {
        var name: String
        var files: any SkillFiles
        /// All calls into the folder are made there.
        var lane: FileLane
    }

    /// What a look at a folder has found.
    private enum Look: Sendable {
        case same, missing
        case read(Entry, warnings: [String])
    }

    private let folders: [Shelved]
    private let entries = Mutex<[String: Entry]>([:])
    private let logger: Logger

    /// - Parameter folders: the skills' folders by the names that the manifest gives them. Nothing is read yet.
    public convenience init(_ folders: [String: String] = [:], logger: Logger) {
        self.init(files: folders.mapValues { SkillFolder(path: $0) }, logger: logger)
    }

    /// - Parameter patience: how long a folder may take to answer.
    init(files: [String: any SkillFiles], patience: Duration = FileLane.patience, logger: Logger) {
        folders = files.sorted { $0.key < $1.key }.map {
            Shelved(name: $0.key, files: $0.value, lane: FileLane(patience: patience))
        }
        self.logger = logger
    }

    public var isEmpty: Bool { folders.isEmpty }

    /// Reads those skills anew whose SKILL.md is another than before. A folder that doesn't answer holds up nothing but this call, and
    /// that for two seconds once: its skill stays as it was read last. One call at a time.
    public func refresh() async {
        await withDiscardingTaskGroup { group in
            for folder in folders { group.addTask { await self.refresh(folder) } }
        }
    }

    private func refresh(_ folder: Shelved) async {
        let name = folder.name
        let before = entries.withLock { $0[name] }
        let look = await folder.lane.run { [files = folder.files, seen = before?.seen ?? .nothing] in
            Self.look(at: files, named: name, unlike: seen)
        }
        guard let look else {
            // Where the worker ends, that is no fault of the folder's.
            guard !Task.isCancelled, before?.isSilent != true else { return }
            let offered = before?.skill == nil ? "it is left out" : "it is offered as it was read last"
            warn(name, ["\(folder.files.path) doesn't answer: \(offered) until it does"])
            entries.withLock { $0[name, default: Entry()].isSilent = true }
            return
        }
        switch look {
        case .same: entries.withLock { $0[name]?.isSilent = false }
        case .missing:
            warn(
                name,
                [
                    "there is no \(SkillFolder.fileName) in \(folder.files.path): it is left out until there is one"
                ])
            entries.withLock { $0[name] = Entry(seen: .missing) }
        case .read(let entry, let warnings):
            if before?.content == nil || before?.content != entry.content { warn(name, warnings) }
            entries.withLock { $0[name] = entry }
        }
    }

    private static func look(at files: any SkillFiles, named name: String, unlike seen: Seen) -> Look {
        let fingerprint = files.fingerprint()
        let now = fingerprint.map { Seen.file($0) } ?? .missing
        if now == seen { return .same }
        if now == .missing { return .missing }
        var entry = Entry(seen: now)
        do {
            let (bytes, size) = try content(of: files)
            entry.content = Digest128(parts: [String(decoding: bytes, as: UTF8.self)])
            let file = try SkillFile(bytes, name: name, isWhole: size <= bytes.count)
            entry.skill = Skill(
                name: name, description: file.description, compatibility: file.compatibility,
                guide: file.guide,
                isCut: file.isCut, files: files.listing(),
                version: Digest128(parts: ["skill", file.guide]).description)
            return .read(entry, warnings: file.warnings)
        } catch let fault as SkillFolder.Fault {
            return .read(entry, warnings: ["it is left out: \(fault.text)"])
        } catch {
            let reason = (error as? SkillFile.Unreadable)?.reason ?? "it can't be read"
            return .read(entry, warnings: ["it is left out: \(reason)"])
        }
    }

    private static func content(
        of files: any SkillFiles
    ) throws(SkillFolder.Fault) -> (bytes: [UInt8], size: Int) {
        do { return try files.read(SkillFolder.fileName, limit: SkillFile.sizeLimit) } catch {
            // A volume that was replaced at this moment is there the next.
            return try files.read(SkillFolder.fileName, limit: SkillFile.sizeLimit)
        }
    }

    /// Nil where it can't be read.
    func skill(_ name: String) -> Skill? { entries.withLock { $0[name]?.skill } }

    /// The same with its files listed anew, where the folder answers.
    func opened(_ name: String) async -> Skill? {
        guard skill(name) != nil, let folder = folder(name) else { return nil }
        let listing = await folder.lane.run { [files = folder.files] in files.listing() }
        return entries.withLock { entries in
            if let listing { entries[name]?.skill?.files = listing }
            return entries[name]?.skill
        }
    }

    /// The first bytes of one of a skill's files.
    ///
    /// - Parameter path: below the skill's folder, checked.
    func read(
        _ name: String, _ path: String, limit: Int
    ) async throws(SkillFolder.Fault) -> (bytes: [UInt8], size: Int) {
        typealias Reading = Result<(bytes: [UInt8], size: Int), SkillFolder.Fault>
        guard let folder = folder(name) else { throw Self.unreadable }
        let reading = await folder.lane.run { [files = folder.files] () -> Reading in
            do throws(SkillFolder.Fault) { return .success(try files.read(path, limit: limit)) } catch {
                return .failure(error)
            }
        }
        guard let reading else { throw Self.unreadable }
        return try reading.get()
    }

    private static let unreadable = SkillFolder.Fault(text: "The skill's files can't be read now.")

    private func folder(_ name: String) -> Shelved? { folders.first { $0.name == name } }

    private func warn(_ name: String, _ warnings: [String]) {
        for warning in warnings {
            logger.warning(
                "a skill is not as it should be", metadata: ["skill": "\(name)", "reason": "\(warning)"])
        }
    }
}
