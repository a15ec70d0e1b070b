import Memory
import PoolAPI
import Testing

@testable import Agent

@Suite struct BuiltinModelTests {
    private static func turn(_ sequence: Int, _ user: String, _ assistant: String = "Noted: \"...\"") throws
        -> StoredTurn
    {
        let turnID = try #require(TurnID("t\(sequence)"))
        return StoredTurn(
            sequence: sequence,
            turn: Turn(
                id: turnID,
                messages: [
                    Message(role: .user, content: user), Message(role: .assistant, content: assistant),
                ],
                agent: "a", startedAt: 0, finishedAt: 0))
    }

    private static func answer(
        _ question: String, context: [StoredTurn] = [], recalled: [String] = [], summary: String = ""
    ) -> String {
        let memories = recalled.map { text in
            RecalledMemory(
                id: "m", kind: .fragment, session: "monday", agent: "a", firstTurn: 1, lastTurn: 1,
                time: 1_763_769_600_000,
                text: text, excerpt: "", entities: [], score: 1)
        }
        return BuiltinAnswer.text(
            for: Prompt(
                instructions: "", rollingSummary: summary, context: context, recalled: memories,
                newMessages: [Message(role: .user, content: question)]))
    }

    @Test("On a session's first turn, and when asked, it says what it is, and that it is no language model")
    func honesty() throws {
        #expect(Self.answer("hello").contains("built-in offline model: no language model"))
        #expect(Self.answer("my code is 4711").contains("no language model"))
        let context = [try Self.turn(1, "my code is 4711")]
        #expect(Self.answer("who are you?", context: context) == BuiltinPhrases.english.introduction)
        #expect(Self.answer("你是谁？", context: context) == BuiltinPhrases.chinese.introduction)
        #expect(!Self.answer("what is my code?", context: context).contains("no language model"))
    }

    @Test("What was said in the conversation is quoted with its turn")
    func fromConversation() throws {
        let context = [
            try Self.turn(1, "My locker code is 4711. I like tea."),
            try Self.turn(2, "The meeting with Anna is on Friday."),
            try Self.turn(
                3, "what is my locker code?",
                "You told me: \"My locker code is 4711.\" (turn 1 of this conversation)"),
        ]
        #expect(
            Self.answer("What is my locker code?", context: context)
                == #"You told me: "My locker code is 4711." (turn 1 of this conversation)"#)
        #expect(Self.answer("when do I meet Anna, the meeting?", context: context).contains("on Friday"))
        #expect(Self.answer("tell me the codes of my lockers", context: context).contains("4711"))
    }

    @Test("What was recalled is quoted with its session and day, without what an assistant had said")
    func fromMemory() throws {
        let recalled = [
            "user: hi, my locker code is 4711\nassistant: I find nothing about the locker code.\nLocker code locker code."
        ]
        #expect(
            Self.answer("what is my locker code?", context: [try Self.turn(1, "hello")], recalled: recalled)
                == #"From memory: "hi, my locker code is 4711" (session monday, 2025-11-22)"#)
    }

    @Test("What only the rolling summary holds is found there")
    func fromSummary() throws {
        let answer = Self.answer(
            "what is my dog called?", context: [try Self.turn(9, "hello")], summary: "My dog is called Rex.")
        #expect(answer == #"You told me: "My dog is called Rex." (earlier in this conversation)"#)
    }

    @Test("Chinese is answered in Chinese, out of what was said in Chinese")
    func chinese() throws {
        let context = [try Self.turn(1, "我的储物柜密码是4711。我喜欢喝茶。")]
        #expect(Self.answer("我的储物柜密码是什么？", context: context) == "您说过： “我的储物柜密码是4711。” （本次对话第 1 轮）")
        #expect(Self.answer("我的狗叫什么名字？", context: context) == BuiltinPhrases.chinese.nothingFound)
    }

    @Test("Where nothing fits it says so instead of guessing")
    func nothing() throws {
        let context = [try Self.turn(1, "My locker code is 4711.")]
        #expect(
            Self.answer("what is the capital of France?", context: context)
                == BuiltinPhrases.english.nothingFound)
    }

    @Test("A statement is noted, a greeting is answered, a question without words lists what is there")
    func otherTurns() throws {
        let context = [try Self.turn(1, "My locker code is 4711.")]
        #expect(Self.answer("My dog is called Rex.", context: context) == #"Noted: "My dog is called Rex.""#)
        #expect(Self.answer("thanks!", context: context) == BuiltinPhrases.english.idle)
        #expect(Self.answer("who am I?", context: context).contains("My locker code is 4711."))
    }

    @Test("The newest of equal answers stands first")
    func newest() throws {
        let context = [
            try Self.turn(1, "My locker code is 4711."), try Self.turn(2, "My locker code is 9922."),
        ]
        let answer = Self.answer("what is my locker code?", context: context)
        let newest = try #require(answer.firstRange(of: "9922"))
        let oldest = try #require(answer.firstRange(of: "4711"))
        #expect(newest.lowerBound < oldest.lowerBound)
    }

    @Test("The reply comes word by word, is the same every time, and ends with finish and usage")
    func streaming() async throws {
        let model = BuiltinChatModel()
        let (chunks, error) = await model.chunks("my locker code is 4711")
        #expect(error == nil)
        #expect(chunks.dropLast().allSatisfy { $0.count == 1 })
        #expect(chunks.count > 20)
        #expect(chunks.last?.first == .finish(.stop))
        guard case .usage(let usage)? = chunks.last?.last else {
            Issue.record("no usage")
            return
        }
        #expect(usage.completionTokens > 0)
        #expect(await model.chunks("my locker code is 4711").0 == chunks)
    }

    @Test("Limits on length and stop texts are kept")
    func sampling() async throws {
        let model = BuiltinChatModel()
        let (short, _) = await model.chunks("hello", sampling: SamplingOverrides(maxTokens: 2))
        #expect(short.joined().text == "I'm AgentPool's ")
        #expect(short.joined().contains(.finish(.length)))
        let (stopped, _) = await model.chunks("hello", sampling: SamplingOverrides(stop: [" built-in"]))
        #expect(stopped.joined().text == "I'm AgentPool's")
    }

    @Test("A paced reply can be cancelled between two words")
    func cancellation() async throws {
        let model = BuiltinChatModel(parameters: ["wordsPerSecond": 0.5])
        let error = await withTaskGroup(of: ModelError?.self) { group in
            group.addTask { await model.reply("hello").error }
            group.cancelAll()
            return await group.next() ?? nil
        }
        #expect(error?.kind == .cancelled)
    }
}
