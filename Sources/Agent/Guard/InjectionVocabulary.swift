/// The words and tags by which a prompt injection is known. Bounded, and no more than a list: see docs/guards.md for what it can't see.
enum InjectionVocabulary {
    /// What a word may be in one of the phrases.
    struct Part: OptionSet {
        let rawValue: UInt16

        static let override = Part(rawValue: 1)
        static let scope = Part(rawValue: 2)
        static let rules = Part(rawValue: 4)
        static let disclose = Part(rawValue: 8)
        static let own = Part(rawValue: 16)
        static let prompt = Part(rawValue: 32)
        static let not = Part(rawValue: 64)
        static let tell = Part(rawValue: 128)
        static let listener = Part(rawValue: 256)
        /// Speakers: at a line's start, in front of a colon.
        static let role = Part(rawValue: 512)
    }

    /// Lower case, without accents and apostrophes: English, German, French, Spanish.
    private static let words: [(Part, String)] = [
        (
            .override,
            """
            ignore ignores ignoring disregard disregarding forget override overrides bypass discard overrule ignoriere \
            ignorieren vergiss missachte ignorez oubliez oublie ignora ignorar olvida
            """
        ),
        (
            .scope,
            """
            previous prior above earlier preceding foregoing all any your system initial original past before developer \
            vorherigen bisherigen obigen alle allen deine precedentes anteriores previas todas tus toutes
            """
        ),
        (
            .rules,
            """
            instruction instructions prompt prompts rule rules guideline guidelines direction directions directive \
            directives constraints restrictions safeguards everything anweisung anweisungen regeln consignes \
            instrucciones reglas
            """
        ),
        (.disclose, "reveal print repeat output leak expose disclose dump recite"),
        (.own, "your system initial hidden original developer"),
        (.prompt, "prompt prompts instruction instructions"),
        (.not, "not dont never without"),
        (.tell, "tell telling inform informing mention mentioning notify notifying alert alerting"),
        (.listener, "user users human anyone anybody"),
        (.role, "system developer"),
    ]

    static let parts: [UInt64: Part] = {
        var parts: [UInt64: Part] = [:]
        for (part, list) in words {
            for word in list.split(separator: " ") {
                parts[WordHash(word.utf8).value, default: []].insert(part)
            }
        }
        return parts
    }()

    /// Pairs of ideographs, simplified and traditional, and Japanese.
    private static let pairs: [(Part, String)] = [
        (.override, "忽略 无视 無視 忽视 忽視 忘记 忘記 忘掉 绕过 繞過 不顾 不顧"),
        (.scope, "之前 以前 以上 上面 上述 前面 先前 此前 所有 全部 一切 你的 系统 系統 原有 原来 原來"),
        (.rules, "指令 指示 提示 规则 規則 说明 說明 设定 設定 命令 约束 約束 限制 准则 準則 内容 內容"),
        (.not, "不要 不能 不得 不可 切勿 请勿 請勿 别告"),
        (.tell, "告诉 告訴 告知 透露 提及 通知"),
        (.listener, "用户 用戶 使用 客户 客戶 任何"),
    ]

    static let pairParts: [UInt64: Part] = {
        var parts: [UInt64: Part] = [:]
        for (part, list) in pairs {
            for pair in list.split(separator: " ") {
                let values = pair.unicodeScalars.map(\.value)
                parts[key(values[0], values[1]), default: []].insert(part)
            }
        }
        return parts
    }()

    static func key(_ first: UInt32, _ second: UInt32) -> UInt64 { UInt64(first) << 32 | UInt64(second) }

    /// The tags of chat templates and of text that plays one, without their slashes. Those between `<|` and `|>` are all of them.
    static let roleTags: Set<UInt64> = Set(
        [
            "<system>", "<assistant>", "<developer>", "<instruction>", "<instructions>", "<im_start>",
            "<start_of_turn>",
            "<end_of_turn>", "[inst]", "[system]", "<<sys>>",
        ].map { WordHash($0.utf8).value })

    /// The tags that quote data in our own prompts.
    static let quotationTags: Set<UInt64> = Set(
        (Prompt.tags + SummaryPrompt.tags).map { WordHash("<\($0)>".utf8).value })
}

/// FNV-1a over bytes, a byte at a time.
struct WordHash {
    private(set) var value: UInt64 = 0xcbf2_9ce4_8422_2325
    private(set) var count = 0

    init() {}

    init(_ bytes: some Sequence<UInt8>) {
        for byte in bytes { add(byte) }
    }

    mutating func add(_ byte: UInt8) {
        value = (value ^ UInt64(byte)) &* 0x100_0000_01b3
        count += 1
    }
}
