/// Bodies, paths and keys: what is taken, and what an error names.
import Memory
import NIOHTTP1
import Testing

@testable import Worker

@Suite("A request")
struct RequestParsingTests {
    private func chat(_ json: String) throws(APIError) -> ChatCompletionsRequest {
        try ChatCompletionsRequest.parse(Array(json.utf8))
    }

    private func failure(_ json: String) -> APIError? {
        do throws(APIError) {
            _ = try chat(json)
            return nil
        } catch { return error }
    }

    @Test("of chat completions is read with all that it may carry")
    func whole() throws {
        let request = try chat(
            """
            {"model":"a","stream":true,"stream_options":{"include_usage":true},"temperature":0.5,"top_p":1,
            "max_tokens":10,"functions":[],"function_call":"none","stop":["x","y"],"user":"u","metadata":{"session_id":"s"},"n":1,"tools":[],"seed":4,
            "response_format":{"type":"text"},"messages":[{"role":"developer","content":"brief"},
            {"role":"user","content":[{"type":"text","text":"one"},{"type":"text","text":"two"}],"name":"N"}]}
            """)
        #expect(request.model == "a" && request.stream && request.includeUsage)
        #expect(request.overrides.temperature == 0.5 && request.overrides.maxTokens == 10)
        #expect(request.overrides.stop == ["x", "y"])
        #expect(request.user == "u" && request.sessionID == "s" && request.instructions == "brief")
        #expect(request.messages == [Message(role: .user, content: "one\ntwo", name: "N")])
    }

    @Test(
        "that can't be honoured is refused by the field's name",
        arguments: [
            (#"{"messages":[]}"#, "messages"),
            (#"{"model":"a"}"#, "messages"),
            (#"{"messages":"hi"}"#, "messages"),
            (#"{"messages":[{"content":"x"}]}"#, "messages[0].role"),
            (#"{"messages":[{"role":"robot","content":"x"}]}"#, "messages[0].role"),
            (#"{"messages":[{"role":"user","content":7}]}"#, "messages[0].content"),
            (
                #"{"messages":[{"role":"user","content":[{"type":"image_url","image_url":{}}]}]}"#,
                "messages[0].content[0]"
            ),
            (#"{"messages":[{"role":"user","content":"x"},{"role":"assistant","content":"y"}]}"#, "messages"),
            (#"{"stream":"yes","messages":[{"role":"user","content":"x"}]}"#, "stream"),
            (#"{"temperature":3,"messages":[{"role":"user","content":"x"}]}"#, "temperature"),
            (#"{"max_tokens":1.5,"messages":[{"role":"user","content":"x"}]}"#, "max_tokens"),
            (#"{"n":2,"messages":[{"role":"user","content":"x"}]}"#, "n"),
            (#"{"functions":[{"name":"f"}],"messages":[{"role":"user","content":"x"}]}"#, "functions"),
            (#"{"messages":[{"role":"tool","content":"x"}]}"#, "messages[0].tool_call_id"),
            (#"{"messages":[{"role":"tool","tool_call_id":"c","content":null}]}"#, "messages[0].content"),
            (
                #"{"messages":[{"role":"assistant","tool_calls":[{"function":{"name":"f"}}]}]}"#,
                "messages[0].tool_calls[0].id"
            ),
            (#"{"response_format":{"type":"json_object"},"messages":[]}"#, "response_format"),
        ])
    func refused(json: String, param: String) throws {
        let error = try #require(failure(json))
        #expect(error.status == .badRequest)
        #expect(error.param == param)
    }

    @Test(
        "that is no JSON says so", arguments: ["", "{", "[1]", "nonsense", #"{"messages":[}"#, #"{"a":1} x"#])
    func broken(json: String) throws {
        let error = try #require(failure(json))
        #expect(error.status == .badRequest)
        #expect(error.param == nil)
    }

    @Test("survives any mutilation with an error or a request, never a crash")
    func mutilated() {
        let whole = Array(
            #"{"model":"a","stream":true,"messages":[{"role":"user","content":[{"type":"text","text":"é\ud83d"}]}],"n":1}"#
                .utf8)
        var random = Seeded(seed: 11)
        var read = 0
        for _ in 0..<5000 {
            if (try? ChatCompletionsRequest.parse(random.mutilated(whole))) != nil { read += 1 }
        }
        #expect(read < 5000)
    }

    @Test("of a native turn takes a text or messages, and nothing it doesn't know")
    func native() throws {
        let text = try NativeTurnRequest.parse(Array(#"{"input":"hi","turn_id":"t1","agent":"a"}"#.utf8))
        #expect(text.input == [Message(role: .user, content: "hi")])
        #expect(text.turnID?.value == "t1" && text.agent == "a")
        #expect(throws: APIError.self) { try NativeTurnRequest.parse(Array(#"{"input":"hi","x":1}"#.utf8)) }
        #expect(throws: APIError.self) { try NativeTurnRequest.parse(Array(#"{"input":""}"#.utf8)) }
        #expect(throws: APIError.self) {
            try NativeTurnRequest.parse(Array(#"{"input":[{"role":"assistant","content":"x"}]}"#.utf8))
        }
    }

    @Test("finds its route by method and path")
    func routes() {
        #expect(PublicRoute.match(.POST, "/v1/chat/completions?x=1") == .route(.chatCompletions))
        #expect(PublicRoute.match(.GET, "/v1/sessions/a%2Fb%20c") == .route(.session("a/b c")))
        #expect(PublicRoute.match(.DELETE, "/v1/sessions/a") == .route(.forget(session: "a")))
        #expect(PublicRoute.match(.PUT, "/v1/sessions/a") == .wrongMethod(allow: "GET, DELETE"))
        #expect(PublicRoute.match(.GET, "/v1/chat/completions") == .wrongMethod(allow: "POST"))
        #expect(PublicRoute.match(.GET, "/v1/sessions/a/b/c") == .unknown)
        #expect(PublicRoute.match(.POST, "/v1/responses") == .route(.responses))
        #expect(PublicRoute.match(.GET, "/v1/responses/resp_a?stream=true") == .route(.response("resp_a")))
        #expect(PublicRoute.match(.GET, "/v1/responses/r/input_items") == .route(.responseInput("r")))
        #expect(PublicRoute.match(.GET, "/v1/conversations/c/items") == .route(.conversationItems("c")))
        #expect(PublicRoute.match(.POST, "/v1/conversations/c/items") == .route(.addConversationItems))
        #expect(
            PublicRoute.match(.GET, "/v1/conversations/c/items/msg_a%2Fb_0_1")
                == .route(.conversationItem("c", item: "msg_a/b_0_1")))
        #expect(PublicRoute.match(.DELETE, "/v1/responses/resp_a") == .wrongMethod(allow: "GET"))
        #expect(PublicRoute.match(.DELETE, "/v1/conversations/c") == .route(.forgetConversation("c")))
        #expect(PublicRoute.match(.GET, "/v1/conversations") == .wrongMethod(allow: "POST"))
        #expect(PublicRoute.match(.GET, "/v1/sessions/%ff") == .undecodable)
        #expect(PublicRoute.match(.GET, "/") == .unknown)
    }

    @Test("names its session by header, metadata or cookie, in this order")
    func sessions() throws {
        let cookie: HTTPHeaders = ["Cookie": "x=1; agentpool-session=c"]
        #expect(try SessionID.named(in: cookie, metadata: nil)?.value == "c")
        #expect(try SessionID.named(in: cookie, metadata: "m")?.value == "m")
        #expect(try SessionID.named(in: ["X-Session-Id": "h"], metadata: "m")?.value == "h")
        #expect(try SessionID.named(in: [:], metadata: nil) == nil)
        #expect(throws: APIError.self) { try SessionID.named(in: [:], metadata: "a\nb") }
        #expect(throws: APIError.self) { try SessionID("", param: "p") }
    }
}

@Suite("A key")
struct CredentialsTests {
    let credentials = Credentials(keys: ["web": "k1\n", "backend": "k2"], trusted: ["backend"])

    private func caller(_ key: String?) throws(APIError) -> Credentials.Caller {
        try credentials.caller(key.map { ["Authorization": $0] } ?? [:])
    }

    @Test("is known by its value and called by its name")
    func known() throws {
        #expect(try caller("Bearer k1").credential == "web")
        #expect(try caller("bearer k2").credential == "backend")
    }

    @Test(
        "that is missing or wrong is a 401 that repeats no key",
        arguments: [nil, "Bearer nope-secret", "k1", "Basic k1"])
    func unknown(key: String?) throws {
        do throws(APIError) {
            _ = try caller(key)
            Issue.record("let in")
        } catch {
            #expect(error.status == .unauthorized)
            #expect(!error.message.contains("nope-secret"))
        }
    }

    @Test("names an end user only where it is trusted to")
    func endUsers() throws {
        let trusted = try caller("Bearer k2")
        #expect(try trusted.principal(pool: "p", headers: [:], user: "u").endUser == "u")
        #expect(
            try trusted.principal(pool: "p", headers: ["X-AgentPool-User": "h"], user: "u").endUser == "h")
        let plain = try caller("Bearer k1")
        #expect(try plain.principal(pool: "p", headers: [:], user: nil).endUser == nil)
        do throws(APIError) {
            _ = try plain.principal(pool: "p", headers: [:], user: "u")
            Issue.record("let in")
        } catch {
            #expect(error.status == .forbidden && error.param == "user")
        }
    }

    @Test("is not asked for where the pool is open")
    func open() throws {
        let caller = try Credentials.open.caller([:])
        #expect(caller == .init(credential: "anonymous", mayNameEndUser: true))
    }
}

/// A generator whose sequence is the same in every run.
extension Seeded {
    /// Up to four bytes of it are gone, changed or added.
    mutating func mutilated(_ whole: [UInt8]) -> [UInt8] {
        var bytes = whole
        for _ in 0..<Int.random(in: 1...4, using: &self) {
            let index = Int.random(in: 0..<bytes.count, using: &self)
            switch Int.random(in: 0..<3, using: &self) {
            case 0: bytes.remove(at: index)
            case 1: bytes[index] = UInt8.random(in: 0...255, using: &self)
            default: bytes.insert(UInt8.random(in: 32...126, using: &self), at: index)
            }
        }
        return bytes
    }
}

struct Seeded: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}
