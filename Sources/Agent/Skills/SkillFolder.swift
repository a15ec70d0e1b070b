/// Reads the files of one skill's folder, and none outside of it, wherever a path or a link in it leads.
import Glibc

/// What a shelf asks of a skill's folder. Its calls block for as long as the file system takes.
protocol SkillFiles: Sendable {
    var path: String { get }
    /// Of SKILL.md; nil where there is none.
    func fingerprint() -> SkillFolder.Fingerprint?
    /// The first bytes of a file, and its size.
    func read(_ path: String, limit: Int) throws(SkillFolder.Fault) -> (bytes: [UInt8], size: Int)
    func listing() -> SkillFolder.Listing
}

/// A mounted ConfigMap consists of links: `SKILL.md -> ..data/SKILL.md`, `..data -> ..2026_11_29…`, replaced as a whole when it
/// changes. So links are followed, and what is opened is looked at: only a regular file whose real path is below the folder's own is
/// read.
struct SkillFolder: SkillFiles {
    let path: String

    /// Files that a listing names; entries that it looks at; how deep it goes.
    static let listingLimit = 200
    static let entryLimit = 2000
    static let depthLimit = 6
    static let fileName = "SKILL.md"

    /// What is wrong, in words for the model or the log.
    struct Fault: Error, Equatable {
        var text: String
    }

    /// Changes with the file that the folder's name leads to.
    struct Fingerprint: Sendable, Equatable {
        private var numbers: [Int]

        fileprivate init(_ status: stat) {
            numbers = [
                Int(bitPattern: UInt(status.st_dev)), Int(bitPattern: UInt(status.st_ino)),
                Int(status.st_size),
                status.st_mtim.tv_sec, status.st_mtim.tv_nsec, status.st_ctim.tv_sec, status.st_ctim.tv_nsec,
            ]
        }
    }

    struct Listing: Sendable, Equatable {
        /// Paths below the folder, sorted, without SKILL.md.
        var files: [String] = []
        /// There are more.
        var isCut = false
    }

    /// Of SKILL.md; nil where there is none. The only call that is made often: it opens nothing.
    func fingerprint() -> Fingerprint? {
        var status = stat()
        return stat("\(path)/\(Self.fileName)", &status) == 0 ? Fingerprint(status) : nil
    }

    /// A path as a model gives it, below the folder.
    static func checked(_ path: String) throws(Fault) -> String {
        var path = path[...]
        while path.hasPrefix("./") { path.removeFirst(2) }
        let parts = path.split(separator: "/", omittingEmptySubsequences: false)
        guard !path.isEmpty, path.utf8.count <= 1024, !path.utf8.contains(0),
            parts.allSatisfy({ !$0.isEmpty && !$0.hasPrefix(".") })
        else {
            throw Fault(
                text:
                    "The path must be one of the skill's files, relative to its folder, without .. and hidden files."
            )
        }
        return String(path)
    }

    /// The first bytes of a file.
    ///
    /// - Parameter path: below the folder, checked or one's own.
    func read(_ path: String, limit: Int) throws(Fault) -> (bytes: [UInt8], size: Int) {
        guard let root = Self.realPath(self.path) else {
            throw Fault(text: "The skill's folder isn't there.")
        }
        guard let target = Self.realPath("\(root)/\(path)") else {
            throw Fault(text: "There is no file \(path) in the skill.")
        }
        let outside = Fault(text: "\(path) leads out of the skill's folder, and is not read.")
        guard target.hasPrefix(root + "/") else { throw outside }
        // Not one that waits for a writer, nor a link that was put there meanwhile.
        let file = open(target, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW)
        guard file >= 0 else { throw Fault(text: "\(path) can't be read.") }
        defer { close(file) }
        // A folder above it may have been replaced by a link since: what was opened says where it is.
        guard Self.place(of: file)?.hasPrefix(root + "/") == true else { throw outside }
        var status = stat()
        guard fstat(file, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
            throw Fault(text: "\(path) is no file.")
        }
        var bytes = [UInt8](repeating: 0, count: min(limit, max(Int(status.st_size), 0) + 1))
        var filled = 0
        while filled < bytes.count {
            let count = bytes.withUnsafeMutableBytes { all in
                let rest = UnsafeMutableRawBufferPointer(rebasing: all[filled...])
                return pread(file, rest.baseAddress, rest.count, filled)
            }
            guard count >= 0 else { throw Fault(text: "\(path) can't be read.") }
            if count == 0 { break }
            filled += count
        }
        bytes.removeLast(bytes.count - filled)
        return (bytes, max(Int(status.st_size), filled))
    }

    /// The files that may be read, hidden ones and those that lead out of the folder left aside.
    func listing() -> Listing {
        guard let root = Self.realPath(path) else { return Listing() }
        var listing = Listing()
        var entries = 0
        var folders = [(path: "", depth: 0)]
        // Links may lead in circles.
        var seen: Set<String> = [root]
        while let folder = folders.popLast() {
            for name in Self.names(in: "\(root)/\(folder.path)", limit: Self.entryLimit - entries) {
                entries += 1
                let path = folder.path.isEmpty ? name : "\(folder.path)/\(name)"
                guard !name.hasPrefix("."), path != Self.fileName,
                    let target = Self.realPath("\(root)/\(path)"),
                    target.hasPrefix(root + "/")
                else { continue }
                var status = stat()
                guard stat(target, &status) == 0 else { continue }
                switch status.st_mode & S_IFMT {
                case S_IFDIR where !seen.insert(target).inserted: break
                case S_IFDIR where folder.depth < Self.depthLimit: folders.append((path, folder.depth + 1))
                case S_IFREG where listing.files.count < Self.listingLimit: listing.files.append(path)
                case S_IFREG, S_IFDIR: listing.isCut = true
                default: break
                }
            }
            if entries >= Self.entryLimit {
                listing.isCut = true
                break
            }
        }
        listing.files.sort()
        return listing
    }

    private static func names(in folder: String, limit: Int) -> [String] {
        guard let stream = opendir(folder) else { return [] }
        defer { closedir(stream) }
        var names: [String] = []
        while names.count < limit, let entry = readdir(stream) {
            let name = withUnsafeBytes(of: &entry.pointee.d_name) { bytes in
                String(validating: bytes.prefix { $0 != 0 }, as: UTF8.self)
            }
            if let name, name != ".", name != ".." { names.append(name) }
        }
        return names.sorted()
    }

    /// Where an open file is, or was when it was removed.
    private static func place(of file: Int32) -> String? {
        let limit = Int(PATH_MAX)
        var bytes = [CChar](repeating: 0, count: limit)
        let count = readlink("/proc/self/fd/\(file)", &bytes, limit)
        return count > 0
            ? String(decoding: bytes.prefix(count).map(UInt8.init(bitPattern:)), as: UTF8.self) : nil
    }

    private static func realPath(_ path: String) -> String? {
        guard let real = realpath(path, nil) else { return nil }
        defer { free(real) }
        return String(cString: real)
    }
}
