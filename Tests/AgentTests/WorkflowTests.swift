import Memory
import PoolAPI
import Testing

@testable import Agent

@Suite("Which node follows which") struct WorkflowTests {
    private static func state(_ change: (inout TurnState) -> Void = { _ in }) throws -> TurnState {
        let turnID = try #require(TurnID("t1"))
        var state = TurnState(
            input: TurnInput(turnID: turnID, sessionID: "s", agent: "a", messages: []), startedAt: 0)
        change(&state)
        return state
    }

    private static func outcome(plan: ArchivePlan? = nil) throws -> CommitOutcome {
        let turnID = try #require(TurnID("t1"))
        let turn = Turn(id: turnID, messages: [], agent: "a", startedAt: 0, finishedAt: 0)
        return CommitOutcome(sequence: 10, plan: plan, stored: StoredTurn(sequence: 10, turn: turn))
    }

    private static let plan = ArchivePlan(
        scope: Scope(principal: Principal(pool: "p", credential: "c", endUser: nil), sessionID: "s"),
        agent: "a", first: 1,
        last: 10, generation: 0, createdAt: 0)

    /// The nodes that a turn passes where nothing changes its state on the way but the commit.
    private static func path(_ state: TurnState, plan: ArchivePlan? = nil) throws -> [String] {
        var (path, state, walk) = ([String](), state, WorkflowWalk(.standard))
        while let visit = walk.next(state) {
            path.append(visit.node.name)
            if visit.node.kind == .commit { state.outcome = try outcome(plan: plan) }
        }
        return path
    }

    @Test("A turn that wants memory passes the guard, recall, converse and commit, in this order")
    func withMemory() throws {
        let state = try Self.state { $0.wantsMemory = true }
        #expect(try Self.path(state) == ["inputGuard", "recall", "converse", "commit"])
    }

    @Test("A turn that wants no memory goes from the guard to converse")
    func withoutMemory() throws {
        #expect(try Self.path(Self.state()) == ["inputGuard", "converse", "commit"])
    }

    @Test("A summary follows a commit that left a plan, and only such a one")
    func planned() throws {
        #expect(
            try Self.path(Self.state(), plan: Self.plan)
                == ["inputGuard", "converse", "commit", "summarize"])
    }

    @Test("A turn that failed ends where it is, before its commit")
    func refused() throws {
        let state = try Self.state {
            $0.wantsMemory = true
            $0.failure = .refused(InputGuard.Refusal(rule: "r", message: "m"))
        }
        for node in ["inputGuard", "recall", "converse", "commit"] {
            #expect(Workflow.standard.next(after: node, state) == nil)
        }
    }

    @Test("What waits for a person or was cut off is stored next, wherever it is")
    func toBeStored() throws {
        let waiting = try Self.state { $0.isWaiting = true }
        let cut = try Self.state {
            var conversation = Conversation()
            conversation.ending = .cancelled
            $0.conversation = conversation
        }
        for state in [waiting, cut] {
            #expect(Workflow.standard.next(after: "recall", state)?.name == "commit")
        }
    }

    @Test("The first edge is taken whose condition holds, and each visit of a node has a mark of its own")
    func order() throws {
        let graph = AgentPoolSpec.Workflow(
            start: "a", nodes: [.init(name: "a", kind: .recall), .init(name: "b", kind: .recall)],
            edges: [.init(from: "a", to: "b", when: .failed), .init(from: "a", to: "a")])
        var walk = WorkflowWalk(try Workflow(graph))
        let state = try Self.state()
        #expect(walk.next(state)?.mark == "a/1")
        #expect(walk.next(state)?.mark == "a/2")
        #expect(walk.next(try Self.state { $0.isFailed = true })?.mark == "b/1")
        #expect(walk.next(state) == nil)
        #expect(walk.visits == 3)
    }
}
