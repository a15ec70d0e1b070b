import Testing

@testable import Agent

@Suite("SKILL.md") struct SkillFileTests {
    private func read(_ text: String, name: String = "refunds") throws -> SkillFile {
        try SkillFile(Array(text.utf8), name: name)
    }

    private func reason(_ text: String) -> String? {
        do {
            _ = try read(text)
            return nil
        } catch {
            return (error as? SkillFile.Unreadable)?.reason
        }
    }

    @Test("A file that keeps to the format is read without a warning")
    func whole() throws {
        let skill = try read(
            """
            ---
            name: refunds
            description: >
              How to refund an order.
              Use it for returns.
            license: Apache-2.0
            compatibility: Needs the tool `orders`.
            metadata: {author: shop, version: "1.0"}
            allowed-tools: orders__refund Read
            ---

            # Refunds

            Ask for the number.
            ---
            Then pay.

            """)
        #expect(skill.description == "How to refund an order. Use it for returns.")
        #expect(skill.compatibility == "Needs the tool `orders`.")
        #expect(skill.guide == "# Refunds\n\nAsk for the number.\n---\nThen pay.")
        #expect(!skill.isCut && skill.warnings.count == 1)
        // The tools that an agent has are the manifest's to say, and whoever wrote the skill is told so.
        #expect(skill.warnings[0].contains("allowed-tools is not enforced"))
    }

    @Test("Windows' line ends and a byte order mark make no difference")
    func lineEnds() throws {
        let skill = try read("\u{FEFF}---\r\nname: refunds\r\ndescription: D.\r\n---\r\nOne.\r\nTwo.\r\n")
        #expect(skill.guide == "One.\nTwo." && skill.warnings.isEmpty)
    }

    @Test(
        "What can't be a skill is refused with the reason",
        arguments: [
            ("", "doesn't begin with front matter"), ("# Refunds", "doesn't begin with front matter"),
            ("---\nname: refunds\n", "doesn't end"), ("---\nname: refunds\n---\nGuide.", "no description"),
            ("---\ndescription: ''\n---\n", "no description"),
            ("---\ndescription: [a]\n---\n", "no description"),
            ("---\n- a\n- b\n---\n", "not one YAML object"),
            ("---\ndescription: 'x\n---\n", "not valid YAML"),
            ("---\nname: a\nname: b\ndescription: D\n---\n", "twice"),
            ("---\ndescription: \u{1}\n---\n", "not valid YAML"),
        ])
    func unreadable(text: String, words: String) {
        #expect(reason(text)?.contains(words) == true, "\(reason(text) ?? "it was read")")
    }

    @Test(
        "Another name, or none, is a warning: the manifest's name holds",
        arguments: [
            "name: other\n", "name: Refunds\n", "name: ../../etc/passwd\n", "name: a--b\n", "name: -a\n",
            "name: \"re\\u0000funds\"\n", "name: 12\n", "", "name: \(String(repeating: "a", count: 65))\n",
        ])
    func names(line: String) throws {
        let skill = try read("---\n\(line)description: D.\n---\nGuide.")
        #expect(skill.warnings.count == 1 && skill.warnings[0].contains("called refunds"))
    }

    @Test("Too long a description or compatibility is cut, and said")
    func long() throws {
        let skill = try read(
            """
            ---
            name: refunds
            description: \(String(repeating: "é", count: 1025))
            compatibility: \(String(repeating: "c", count: 501))
            ---
            Guide.
            """)
        #expect(skill.description.count == 1024 && skill.compatibility?.count == 500)
        #expect(skill.warnings.count == 2)
    }

    @Test("Other faults of the front matter are warnings")
    func faults() throws {
        let skill = try read(
            "---\nname: refunds\ndescription: 4711\nlicense: [MIT]\nmetadata: [a]\nallowed-tools: {a: b}\nmore: x\n---\n"
        )
        #expect(skill.description == "4711")
        #expect(skill.warnings.count == 4, "\(skill.warnings)")
    }

    @Test("An unquoted colon, the commonest slip, is read as it was meant, with a warning")
    func colon() throws {
        let skill = try read(
            "---\nname: refunds\ndescription: Use this when: somebody's parcel is lost\n---\nGuide.")
        #expect(skill.description == "Use this when: somebody's parcel is lost")
        #expect(skill.warnings.count == 1 && skill.warnings[0].contains("not valid YAML"))
    }

    @Test("A guide over its bound is cut and says so, and so is a file of which only a part was read")
    func cut() throws {
        let long = try read(
            "---\nname: refunds\ndescription: D.\n---\n\(String(repeating: "ä", count: 40_000))")
        #expect(long.isCut && long.guide.utf8.count <= SkillFile.guideLimit && long.warnings.count == 1)
        let part = try SkillFile(
            Array("---\nname: refunds\ndescription: D.\n---\nabc\u{e4}".utf8.dropLast()), name: "refunds",
            isWhole: false)
        #expect(part.isCut)
    }

    @Test("Bytes that are no UTF-8 are shown as such, with a warning")
    func encoding() throws {
        let skill = try SkillFile(
            Array("---\nname: refunds\ndescription: D.\n---\nA ".utf8) + [0xFF, 0xFE], name: "refunds")
        #expect(skill.guide == "A \u{FFFD}\u{FFFD}" && skill.warnings.count == 1)
    }

    @Test("Front matter that expands or nests without measure is refused before it is read")
    func bombs() {
        let laughs = (1...9).map { "l\($0): &l\($0) [\(String(repeating: "*l\($0 - 1),", count: 9))]" }
        #expect(
            reason("---\nl0: &l0 x\n\(laughs.joined(separator: "\n"))\ndescription: D\n---\n")?.contains(
                "aliases") == true)
        let keys = "a: &a [x, x]\nb: &b [*a, *a]\n? *b\n: c\ndescription: D\n"
        #expect(reason("---\n\(keys)---\n")?.contains("aliases") == true)
        for deep in [
            String(repeating: "[", count: 8000), String(repeating: "{a: ", count: 3000),
            String(repeating: "- ", count: 8000), String(repeating: "? ", count: 8000),
        ] {
            #expect(reason("---\ndescription: D\nx:\n \(deep)\n---\n")?.contains("512 values") == true)
        }
        let large = String(repeating: "# comment\n", count: 2000)
        #expect(reason("---\n\(large)description: D\n---\n")?.contains("doesn't end") == true)
    }

    @Test("What nests as deeply as is allowed is refused without harm")
    func deep() {
        for deep in [String(repeating: "[", count: 500), String(repeating: "- ", count: 500) + "a"] {
            #expect(reason("---\ndescription: D\nx:\n \(deep)\n---\n") != nil)
        }
    }

    @Test("A word in asterisks or an ampersand alone is no alias")
    func noAliases() throws {
        #expect(
            try read("---\nname: refunds\ndescription: R & D, and *urgent* ones\n---\nG").warnings.isEmpty)
    }
}
