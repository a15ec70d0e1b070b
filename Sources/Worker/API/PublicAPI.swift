/// The public port: who is calling, which route is meant, and the routes that are answered at once.
import Agent
import Memory
import NIOCore
import NIOHTTP1
import PoolAPI
import Synchronization

struct PublicAPI: Sendable {
    let pool: String
    let spec: AgentPoolSpec
    let memory: SessionMemory
    let conductor: TurnConductor
    let feeds: SessionFeeds
    let journal: TurnJournal
    /// Nil for a worker that shares its memory with no other.
    let relay: PeerRelay?
    let recent: SharedRecentRequests
    let credentials: SharedCredentials
    let metrics: TurnMetrics
    /// Seconds since 1970.
    let startedAt: Int64

    /// Answers one request. Never throws: every error becomes an answer.
    func handle(_ request: ServerRequest) async {
        await handle(request, .client) { [credentials] request throws(APIError) in
            try credentials.current.caller(request.head.headers)
        }
    }

    /// The same for a request that another worker hands on.
    func handleRelayed(_ request: ServerRequest) async {
        guard let relay else { return fail(request, .misdirected) }
        await handle(request, .peer) { request throws(APIError) in
            do throws(PeerSignature.Refusal) {
                return try PeerSignature.caller(
                    request.head, body: request.body.readableBytesView, own: relay.peers.own,
                    now: relay.now(), key: relay.peers.key)
            } catch {
                // Whoever has sent it serves the request itself then.
                throw error == .otherWorker ? .misdirected : .notAPeer
            }
        }
    }

    private func handle(
        _ request: ServerRequest, _ origin: RequestOrigin,
        _ identify: (ServerRequest) throws(APIError) -> Credentials.Caller
    ) async {
        let route: PublicRoute
        switch PublicRoute.match(request.head.method, request.head.uri) {
        case .route(let matched): route = matched
        case .unknown:
            return fail(request, APIError(.notFound, code: "unknown_url", "There is nothing at this path."))
        case .undecodable:
            return fail(request, .invalid(nil, "The path is not UTF-8 after percent-decoding."))
        case .wrongMethod(let allow):
            var response = APIError(
                .methodNotAllowed, code: "method_not_allowed", "This path takes \(allow)."
            ).response
            response.head.fields.append(("Allow", allow))
            metrics.refused(.methodNotAllowed)
            return request.exchange.respond(response)
        }
        do {
            let caller = try identify(request)
            switch route {
            case .chatCompletions: try await chatCompletions(request, caller, origin)
            case .turns(let session): try await nativeTurn(request, caller, session, origin)
            case .approvals(let session): try await approve(request, caller, session, origin)
            case .events(let session): try await events(request, caller, session, origin)
            case .session(let session): try await describe(request, caller, session)
            case .messages(let session): try await messages(request, caller, session)
            case .release(let session): try await release(request, caller, session, origin)
            case .forget(let session): try await forget(request, caller, session)
            case .memorySearch: try await searchMemories(request, caller)
            case .responses: try await responses(request, caller, origin)
            case .response(let id): try await response(request, caller, id)
            case .responseInput(let id): try await responseInput(request, caller, id)
            case .conversations: try beginConversation(request)
            case .conversation(let id): try await conversation(request, caller, id)
            case .forgetConversation(let id): try await forgetConversation(request, caller, id)
            case .conversationItems(let id): try await conversationItems(request, caller, id)
            case .addConversationItems: throw APIError.itemsNotTaken
            case .conversationItem(let id, let item):
                try await conversationItem(request, caller, id, item: item)
            case .models: request.exchange.respond(Response(.ok, body: modelList()))
            case .model(let name): try model(request, name)
            }
        } catch let error as APIError {
            fail(request, error)
        } catch let error as MemoryError {
            fail(request, APIError(error))
        } catch let fault as DecisionFault {
            fail(request, APIError(fault))
        } catch {
            // The client is gone: nobody is there to be answered.
            request.exchange.abort()
        }
    }

    func fail(_ request: ServerRequest, _ error: APIError) {
        metrics.refused(error.status)
        request.exchange.respond(error.response)
    }

    func scope(
        _ caller: Credentials.Caller, _ request: ServerRequest, user: String? = nil, session: SessionID
    ) throws(APIError) -> Scope {
        let principal = try caller.principal(pool: pool, headers: request.head.headers, user: user)
        return Scope(principal: principal, sessionID: session.value)
    }

    /// - Parameter name: `nil` where the request leaves the choice to us.
    /// - Throws: 404 with the names that would do.
    func agent(named name: String?, param: String) throws(APIError) -> String? {
        guard let name, name != conductor.poolAlias else { return nil }
        let agents = conductor.engine.agents.map(\.name)
        guard agents.contains(name) else {
            throw APIError(
                .notFound, code: "model_not_found",
                "The model `\(name)` does not exist. This pool's agents are: "
                    + agents.joined(separator: ", ") + ".", param: param)
        }
        return name
    }

    // MARK: Models

    private func modelList() -> [UInt8] {
        var json = JSONWriter()
        json.beginObject()
        json.field("object", "list")
        json.key("data")
        json.beginArray()
        for agent in spec.agents { write(agent, into: &json) }
        json.endArray()
        json.endObject()
        return json.bytes
    }

    private func model(_ request: ServerRequest, _ name: String) throws(APIError) {
        _ = try agent(named: name, param: "model")
        guard let agent = spec.agents.first(where: { $0.name == name }) ?? spec.agents.first else { return }
        var json = JSONWriter()
        write(agent, into: &json)
        request.exchange.respond(Response(.ok, body: json.bytes))
    }

    /// An agent looks to OpenAI's clients like a model.
    private func write(_ agent: AgentPoolSpec.Agent, into json: inout JSONWriter) {
        json.beginObject()
        json.field("id", agent.name)
        json.field("object", "model")
        json.field("created", startedAt)
        json.field("owned_by", pool)
        json.field("description", agent.description)
        json.endObject()
    }
}

extension APIError {
    fileprivate static let notAPeer = APIError(
        .misdirectedRequest, type: "permission_error", code: "not_a_peer",
        "This port takes requests of the pool's own workers only.")
}

/// The keys as of the Secret's last reading.
final class SharedCredentials: Sendable {
    private let value: Mutex<Credentials>

    init(_ credentials: Credentials) { value = Mutex(credentials) }

    var current: Credentials {
        get { value.withLock { $0 } }
        set { value.withLock { $0 = newValue } }
    }
}

final class SharedRecentRequests: Sendable {
    private let value = Mutex(RecentRequests())

    func remember(_ session: SessionID, for key: RecentRequests.Key) {
        value.withLock { $0.remember(session, for: key, now: .now) }
    }

    func session(for key: RecentRequests.Key) -> SessionID? {
        value.withLock { $0.session(for: key, now: .now) }
    }
}
