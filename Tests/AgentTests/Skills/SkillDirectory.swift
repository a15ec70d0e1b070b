import Foundation

/// A directory of skills' folders that goes with the test, written as people and as Kubernetes write them.
final class SkillDirectory: Sendable {
    let path: String

    init() throws {
        path = NSTemporaryDirectory() + "skill-tests-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }

    deinit {
        // Left to the system's own cleaning where it fails: a test must not fail for it.
        try? FileManager.default.removeItem(atPath: path)
    }

    func folder(_ skill: String) -> String { "\(path)/\(skill)" }

    func write(_ text: String, _ file: String) throws { try write(Array(text.utf8), file) }

    func write(_ bytes: [UInt8], _ file: String) throws {
        let url = URL(filePath: "\(path)/\(file)")
        try FileManager.default.createDirectory(
            at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
        try Data(bytes).write(to: url, options: .atomic)
    }

    func link(_ file: String, to target: String) throws {
        let url = URL(filePath: "\(path)/\(file)")
        try FileManager.default.createDirectory(
            at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
        try FileManager.default.createSymbolicLink(atPath: url.path, withDestinationPath: target)
    }

    /// A ConfigMap's volume: its files in a folder of their own, `..data` leading to it, links in front. Replaced as kubelet does.
    func mount(_ skill: String, version: String, _ files: [String: String]) throws {
        for (file, text) in files { try write(text, "\(skill)/..\(version)/\(file)") }
        let data = "\(folder(skill))/..data"
        try FileManager.default.createSymbolicLink(atPath: data + "_tmp", withDestinationPath: "..\(version)")
        guard rename(data + "_tmp", data) == 0 else { throw CocoaError(.fileWriteUnknown) }
        for file in files.keys {
            let first = String(file.prefix { $0 != "/" })
            if !FileManager.default.fileExists(atPath: "\(folder(skill))/\(first)") {
                try link("\(skill)/\(first)", to: "..data/\(first)")
            }
        }
        for old in try FileManager.default.contentsOfDirectory(atPath: folder(skill))
        where old.hasPrefix("..") && old != "..data" && old != "..\(version)" {
            try FileManager.default.removeItem(atPath: "\(folder(skill))/\(old)")
        }
    }

    static func file(_ name: String, _ description: String, _ guide: String) -> String {
        "---\nname: \(name)\ndescription: \(description)\n---\n\(guide)\n"
    }
}
