import Foundation
import Testing

@testable import Agent

@Suite("A skill's folder") struct SkillFolderTests {
    private let directory: SkillDirectory
    private let folder: SkillFolder

    init() throws {
        directory = try SkillDirectory()
        folder = SkillFolder(path: directory.folder("refunds"))
        try directory.write("secret", "outside.txt")
        try directory.write(SkillDirectory.file("refunds", "D.", "Guide."), "refunds/SKILL.md")
        try directory.write("policy", "refunds/references/policy.md")
    }

    private func text(_ path: String) throws -> String {
        String(decoding: try folder.read(path, limit: 1024).bytes, as: UTF8.self)
    }

    @Test("Its files are read and listed, without SKILL.md and hidden ones")
    func files() throws {
        try directory.write("x", "refunds/.git/config")
        #expect(try text("references/policy.md") == "policy")
        #expect(folder.listing() == .init(files: ["references/policy.md"]))
    }

    @Test(
        "A path that could lead out of the folder is refused as it is written",
        arguments: [
            "../outside.txt", "/etc/passwd", "references/../../outside.txt", "..", "", ".",
            "references//policy.md",
            "references/", "..data/SKILL.md", ".git/config", "a\u{0}b", "./../outside.txt", "a/./b",
        ])
    func paths(path: String) {
        #expect(throws: SkillFolder.Fault.self) { try SkillFolder.checked(path) }
    }

    @Test("Paths that models write are taken")
    func goodPaths() throws {
        #expect(try SkillFolder.checked("./references/policy.md") == "references/policy.md")
        #expect(try SkillFolder.checked("a..b/ü x.md") == "a..b/ü x.md")
    }

    @Test(
        "A link out of the folder is neither read nor listed, be it relative, absolute, a folder, or a chain")
    func links() throws {
        try directory.link("refunds/up.txt", to: "../outside.txt")
        try directory.link("refunds/passwd", to: "/etc/passwd")
        try directory.link("refunds/all", to: "..")
        try directory.link("refunds/step", to: "second")
        try directory.link("refunds/second", to: "../outside.txt")
        try directory.link("refunds/loop", to: "loop")
        try directory.link("refunds/sibling", to: "../refunds-of-others/x")
        try directory.write("x", "refunds-of-others/x")
        for path in ["up.txt", "passwd", "all/outside.txt", "step", "loop", "sibling"] {
            #expect(throws: SkillFolder.Fault.self, "\(path)") { try folder.read(path, limit: 1024) }
        }
        #expect(folder.listing() == .init(files: ["references/policy.md"]))
    }

    @Test("Links that stay in the folder are followed, also where the folder itself is one")
    func innerLinks() throws {
        try directory.link("refunds/policy.md", to: "references/policy.md")
        try directory.link("alias", to: "refunds")
        let alias = SkillFolder(path: directory.folder("alias"))
        #expect(String(decoding: try alias.read("policy.md", limit: 99).bytes, as: UTF8.self) == "policy")
        #expect(alias.listing().files == ["policy.md", "references/policy.md"])
    }

    @Test("A listing names each file once, though links lead in circles")
    func circles() throws {
        try directory.link("refunds/again", to: ".")
        try directory.link("refunds/references/up", to: "..")
        try directory.link("refunds/refs", to: "references")
        #expect(folder.listing() == .init(files: ["references/policy.md"]))
    }

    @Test("A ConfigMap's volume, which consists of links, is read and listed as what it shows")
    func configMap() throws {
        let mounted = SkillFolder(path: directory.folder("mounted"))
        try directory.mount("mounted", version: "1", ["SKILL.md": "one", "references/a.md": "a"])
        let before = mounted.fingerprint()
        #expect(try mounted.read("SKILL.md", limit: 9).bytes == Array("one".utf8))
        #expect(mounted.listing().files == ["references/a.md"])
        try directory.mount(
            "mounted", version: "2", ["SKILL.md": "two", "references/a.md": "b", "b.md": "b"])
        #expect(mounted.fingerprint() != before)
        #expect(try mounted.read("SKILL.md", limit: 9).bytes == Array("two".utf8))
        #expect(mounted.listing().files == ["b.md", "references/a.md"])
    }

    @Test("What is no regular file is not read, and nobody waits for it")
    func noFiles() throws {
        #expect(mkfifo("\(folder.path)/pipe", 0o600) == 0)
        try directory.link("refunds/zero", to: "/dev/zero")
        for path in ["pipe", "references", "zero", "none"] {
            #expect(throws: SkillFolder.Fault.self) { try folder.read(path, limit: 1024) }
        }
        #expect(folder.listing().files == ["references/policy.md"])
    }

    @Test("Of a large file the first bytes are read, and its size is told")
    func large() throws {
        try directory.write([UInt8](repeating: 0x61, count: 5000), "refunds/large.txt")
        let (bytes, size) = try folder.read("large.txt", limit: 1000)
        #expect(bytes.count == 1000 && size == 5000)
    }

    @Test("A listing is bounded in files, depth and entries")
    func bounds() throws {
        for number in 0..<250 { try directory.write("x", "refunds/many/\(number).md") }
        try directory.write("x", "refunds/1/2/3/4/5/6/deep.md")
        try directory.write("x", "refunds/1/2/3/4/5/6/7/deeper.md")
        let listing = folder.listing()
        #expect(listing.files.count == SkillFolder.listingLimit && listing.isCut)
        try FileManager.default.removeItem(atPath: "\(folder.path)/many")
        let rest = folder.listing()
        #expect(rest.files == ["1/2/3/4/5/6/deep.md", "references/policy.md"] && rest.isCut)
    }

    @Test("A folder that isn't there has no fingerprint and no files")
    func absent() {
        let none = SkillFolder(path: directory.folder("none"))
        #expect(none.fingerprint() == nil && none.listing() == .init())
        #expect(throws: SkillFolder.Fault.self) { try none.read("SKILL.md", limit: 9) }
    }
}
