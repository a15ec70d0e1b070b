/// An API server that expects exact calls in an exact order, answers each as its script says, and keeps every call that
/// it did not expect.

import Foundation
import NIOCore
import NIOHTTP1
import NIOPosix
import Synchronization
import Testing

@testable import Kubernetes

/// One call that is expected, and what it is answered.
struct ScriptedCall: Sendable {
    /// What a stream does, one after the other.
    enum Piece: Sendable {
        case text(String)
        /// Goes on when the test opens the gate.
        case gate(Gate)
        /// The answer ends as it should; without it the connection stays open and silent.
        case end
        /// The connection breaks off.
        case cut
    }

    enum Answer: Sendable {
        case json(Int, String, [(String, String)] = [])
        case stream([Piece])
        /// No answer at all; the connection stays open.
        case silence
        case cut
    }

    var method: String
    /// Path and query as they are sent, but for the length of a watch, which is left to chance: `timeoutSeconds=*`.
    var target: String
    /// Nil where it doesn't matter.
    var body: String?
    var headers: [String: String] = [:]
    /// More that has to hold of the body.
    var bodyCheck: (@Sendable (String) -> Bool)?
    var answer: Answer

    static func call(
        _ method: String, _ target: String, body: String? = nil, headers: [String: String] = [:],
        where bodyCheck: (@Sendable (String) -> Bool)? = nil, _ answer: Answer
    ) -> ScriptedCall {
        ScriptedCall(
            method: method, target: target, body: body, headers: headers, bodyCheck: bodyCheck, answer: answer
        )
    }

    static func get(_ target: String, _ answer: Answer) -> ScriptedCall { call("GET", target, answer) }
}

/// Holds a script up until the test says go.
final class Gate: Sendable {
    private struct State {
        var isOpen = false
        var waiters: [@Sendable () -> Void] = []
    }

    private let state = Mutex(State())

    var isOpen: Bool { state.withLock { $0.isOpen } }

    func open() {
        let waiters = state.withLock { state in
            state.isOpen = true
            defer { state.waiters = [] }
            return state.waiters
        }
        for waiter in waiters { waiter() }
    }

    fileprivate func whenOpen(_ body: @escaping @Sendable () -> Void) {
        let isOpen = state.withLock { state in
            if !state.isOpen { state.waiters.append(body) }
            return state.isOpen
        }
        if isOpen { body() }
    }
}

final class ScriptedServer: Sendable {
    struct Received: Sendable {
        var method: String
        var target: String
        var headers: HTTPHeaders
        var body: String
    }

    private struct State {
        var script: [ScriptedCall]
        var received: [Received] = []
        var surprises: [String] = []
    }

    private let state: Mutex<State>
    private let channel: any Channel

    var port: Int { channel.localAddress?.port ?? 0 }
    var access: ClusterAccess { ClusterAccess(server: "http://127.0.0.1:\(port)") }
    var received: [Received] { state.withLock { $0.received } }
    var surprises: [String] { state.withLock { $0.surprises } }
    var left: Int { state.withLock { $0.script.count } }

    private init(_ script: [ScriptedCall]) async throws {
        let handlers = HandlerOwner()
        channel = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.configureHTTPServerPipeline()
                    try channel.pipeline.syncOperations.addHandler(CallHandler(handlers))
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        state = Mutex(State(script: script))
        handlers.server.withLock { $0 = self }
    }

    /// Runs a test against the script; afterwards nothing of the script may be left, and nothing else have been called.
    @discardableResult
    static func run<Result>(
        _ script: [ScriptedCall], _ body: (ScriptedServer) async throws -> Result
    ) async throws -> Result {
        let server = try await ScriptedServer(script)
        do {
            let result = try await body(server)
            try await server.channel.close()
            #expect(server.surprises == [])
            #expect(server.left == 0, "calls of the script that never came")
            return result
        } catch {
            // The test failed already; that a socket doesn't close is no news.
            try? await server.channel.close()
            Issue.record("unexpected calls: \(server.surprises)")
            throw error
        }
    }

    /// Returns once so many of the script's calls have come, or fails after a minute.
    func waitForCalls(_ count: Int) async throws {
        try await waitUntil("\(count) calls have come") { received.count >= count }
    }

    fileprivate func answer(to call: Received) -> ScriptedCall.Answer {
        state.withLock { state in
            state.received.append(call)
            guard let expected = state.script.first else {
                state.surprises.append("\(call.method) \(call.target): nothing was expected any more")
                return .json(599, "{}")
            }
            let faults = expected.faults(of: call)
            guard faults.isEmpty else {
                state.surprises.append(
                    "\(call.method) \(call.target): expected \(expected.method) \(expected.target); "
                        + faults.joined(separator: ", "))
                return .json(599, "{}")
            }
            state.script.removeFirst()
            return expected.answer
        }
    }
}

extension ScriptedCall {
    fileprivate func faults(of call: ScriptedServer.Received) -> [String] {
        var faults: [String] = []
        if method != call.method { faults.append("method") }
        if target != call.target.replacing(#/timeoutSeconds=[0-9]+/#, with: "timeoutSeconds=*") {
            faults.append("target")
        }
        if let body, body != call.body { faults.append("body \(call.body)") }
        if let bodyCheck, !bodyCheck(call.body) { faults.append("body \(call.body)") }
        for (name, value) in headers where call.headers.first(name: name) != value {
            faults.append("header \(name)")
        }
        return faults
    }
}

private final class HandlerOwner: Sendable {
    let server = Mutex<ScriptedServer?>(nil)
}

private final class CallHandler: ChannelInboundHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundOut = HTTPServerResponsePart

    private let owner: HandlerOwner
    private var head: HTTPRequestHead?
    private var body = ""

    init(_ owner: HandlerOwner) {
        self.owner = owner
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head(let head):
            self.head = head
            body = ""
        case .body(let buffer): body += String(buffer: buffer)
        case .end:
            guard let head, let server = owner.server.withLock({ $0 }) else {
                return context.close(promise: nil)
            }
            let call = ScriptedServer.Received(
                method: head.method.rawValue, target: head.uri, headers: head.headers, body: body)
            perform(server.answer(to: call), on: context.channel)
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        context.close(promise: nil)
    }

    private func perform(_ answer: ScriptedCall.Answer, on channel: any Channel) {
        switch answer {
        case .json(let status, let text, let extra):
            var headers = HTTPHeaders(extra)
            headers.add(name: "Content-Type", value: "application/json")
            headers.add(name: "Content-Length", value: String(text.utf8.count))
            let head = HTTPResponseHead(
                version: .http1_1, status: HTTPResponseStatus(statusCode: status), headers: headers)
            channel.write(HTTPServerResponsePart.head(head), promise: nil)
            channel.write(HTTPServerResponsePart.body(.byteBuffer(ByteBuffer(string: text))), promise: nil)
            channel.writeAndFlush(HTTPServerResponsePart.end(nil), promise: nil)
        case .stream(let pieces):
            let head = HTTPResponseHead(
                version: .http1_1, status: .ok, headers: ["Content-Type": "application/json"])
            channel.writeAndFlush(HTTPServerResponsePart.head(head), promise: nil)
            Self.send(pieces[...], on: channel)
        case .silence: break
        case .cut: channel.close(promise: nil)
        }
    }

    private static func send(_ pieces: ArraySlice<ScriptedCall.Piece>, on channel: any Channel) {
        guard let piece = pieces.first else { return }
        let rest = pieces.dropFirst()
        switch piece {
        case .text(let text):
            channel.writeAndFlush(
                HTTPServerResponsePart.body(.byteBuffer(ByteBuffer(string: text))), promise: nil)
            send(rest, on: channel)
        case .gate(let gate):
            gate.whenOpen { send(rest, on: channel) }
        case .end:
            channel.writeAndFlush(HTTPServerResponsePart.end(nil), promise: nil)
        case .cut:
            channel.close(promise: nil)
        }
    }
}

extension Gate {
    /// Returns once the gate is open.
    func passed() async {
        await withCheckedContinuation { continuation in
            whenOpen { continuation.resume() }
        }
    }
}
