import Memory
import Testing

@testable import Agent

@Suite struct WorkflowTests {
    private static func state(_ change: (inout TurnState) -> Void = { _ in }) throws -> TurnState {
        let turnID = try #require(TurnID("t1"))
        var state = TurnState(
            input: TurnInput(turnID: turnID, sessionID: "s", agent: "a", messages: []), startedAt: 0)
        change(&state)
        return state
    }

    private static let plan = ArchivePlan(
        scope: Scope(principal: Principal(pool: "p", credential: "c", endUser: nil), sessionID: "s"),
        agent: "a", first: 1,
        last: 10, generation: 0, createdAt: 0)

    /// The nodes that a turn passes where nothing changes its state on the way.
    private static func path(_ state: TurnState) -> [String] {
        var path: [String] = []
        var next: String? = Workflow.standard.start
        while let name = next {
            path.append(name)
            next = Workflow.standard.next(after: name, state: state)
        }
        return path
    }

    @Test("A turn that wants memory passes the guard, recall, converse and commit, in this order")
    func withMemory() throws {
        let state = try Self.state { $0.wantsMemory = true }
        #expect(Self.path(state) == ["inputGuard", "recall", "converse", "commit"])
    }

    @Test("A turn that wants no memory goes from the guard to converse")
    func withoutMemory() throws {
        #expect(Self.path(try Self.state()) == ["inputGuard", "converse", "commit"])
    }

    @Test("A refused turn ends at the guard, even if it wanted memory")
    func refused() throws {
        let state = try Self.state {
            $0.wantsMemory = true
            $0.failure = .refused(InputGuard.Refusal(rule: "r", message: "m"))
        }
        #expect(Self.path(state) == ["inputGuard"])
    }

    @Test("A turn without any reply ends before commit")
    func unanswered() throws {
        let state = try Self.state { $0.conversation = Conversation(failedWith: .cancelled) }
        #expect(Self.path(state) == ["inputGuard", "converse"])
    }

    @Test("A summary follows a commit that left a plan, and only such a one")
    func planned() throws {
        let turnID = try #require(TurnID("t1"))
        let turn = Turn(id: turnID, messages: [], agent: "a", startedAt: 0, finishedAt: 0)
        let state = try Self.state {
            $0.outcome = CommitOutcome(
                sequence: 10, plan: Self.plan, stored: StoredTurn(sequence: 10, turn: turn))
        }
        #expect(Self.path(state) == ["inputGuard", "converse", "commit", "summarize"])
    }

    @Test("Edges are tried in their order and the first that holds is taken")
    func order() throws {
        let nodes = ["a", "b", "c"].map { Workflow.Node(name: $0, kind: .inputGuard) }
        let edges = [
            Workflow.Edge(from: "a", to: "b", when: .memoryWanted), Workflow.Edge(from: "a", to: "c"),
            Workflow.Edge(from: "b", to: "c"),
        ]
        let workflow = try Workflow(start: "a", nodes: nodes, edges: edges)
        #expect(workflow.next(after: "a", state: try Self.state()) == "c")
        #expect(workflow.next(after: "a", state: try Self.state { $0.wantsMemory = true }) == "b")
        #expect(workflow.next(after: "c", state: try Self.state()) == nil)
    }

    @Test("The standard graph passes its own validation")
    func standardIsValid() throws {
        let standard = Workflow.standard
        #expect(try Workflow(start: standard.start, nodes: standard.nodes, edges: standard.edges) == standard)
    }

    @Test("A graph that can't work is refused with the names at fault")
    func invalid() {
        func fault(_ names: [String], _ edges: [Workflow.Edge]) -> WorkflowError? {
            let nodes = names.map { Workflow.Node(name: $0, kind: .converse) }
            do {
                _ = try Workflow(start: "a", nodes: nodes, edges: edges)
                return nil
            } catch {
                return error
            }
        }
        let ab = Workflow.Edge(from: "a", to: "b")
        #expect(fault(["a", "a"], []) == .duplicateNode("a"))
        #expect(fault(["b"], []) == .unknownNode("a"))
        #expect(fault(["a"], [ab]) == .unknownNode("b"))
        #expect(fault(["a", "b"], []) == .unreachableNode("b"))
        #expect(fault(["a", "b"], [ab, Workflow.Edge(from: "b", to: "a")]) == .cycle(["a", "b", "a"]))
        #expect(fault(["a"], [Workflow.Edge(from: "a", to: "a", when: .refused)]) == .cycle(["a", "a"]))
        #expect(
            fault(["a", "b"], [ab, Workflow.Edge(from: "a", to: nil, when: .refused)])
                == .deadEdge(from: "a", to: nil))
        #expect(fault(["a", "b"], [Workflow.Edge(from: "a", to: "b", when: .refused)]) == nil)
    }
}
