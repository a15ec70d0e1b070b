/// One waiting caller and the answers to its commands; each place is answered once, whoever comes first.
import Synchronization

final class Call: Sendable {
    enum Answer: Sendable {
        /// `replicas`: how many confirmed it; 0 where nobody was asked to.
        case reply(RedisValue, replicas: Int)
        case failure(LinkFault, mayHaveRun: Bool)
    }

    private enum Place {
        case waiting
        case written
        case answered(Answer)
    }

    private struct State {
        var places: [Place]
        var open: Int
        var continuation: CheckedContinuation<Void, Never>?
    }

    private let state: Mutex<State>

    init(count: Int) {
        state = Mutex(State(places: Array(repeating: .waiting, count: count), open: count))
    }

    /// Says that the command is about to be written; false where its caller waits no longer.
    func claim(_ index: Int) -> Bool {
        state.withLock { state in
            switch state.places[index] {
            case .waiting, .written:
                state.places[index] = .written
                return true
            case .answered: return false
            }
        }
    }

    func answer(_ index: Int, _ answer: Answer) {
        let continuation: CheckedContinuation<Void, Never>? = state.withLock { state in
            if case .answered = state.places[index] { return nil }
            state.places[index] = .answered(answer)
            state.open -= 1
            return state.open == 0 ? state.continuation.take() : nil
        }
        continuation?.resume()
    }

    /// Answers one place by what is known of it: whether it was written.
    func fail(_ index: Int, _ fault: LinkFault) {
        fail([index], fault)
    }

    private func fail(_ indices: [Int]?, _ fault: LinkFault) {
        let continuation: CheckedContinuation<Void, Never>? = state.withLock { state in
            for index in indices ?? Array(state.places.indices) {
                switch state.places[index] {
                case .waiting: state.places[index] = .answered(.failure(fault, mayHaveRun: false))
                case .written: state.places[index] = .answered(.failure(fault, mayHaveRun: true))
                case .answered: continue
                }
                state.open -= 1
            }
            return state.open == 0 ? state.continuation.take() : nil
        }
        continuation?.resume()
    }

    /// Returns when every place is answered, at once where the task is cancelled.
    func answers() async -> [Answer] {
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let isDone = state.withLock { state in
                    if state.open == 0 { return true }
                    state.continuation = continuation
                    return false
                }
                if isDone { continuation.resume() }
            }
        } onCancel: {
            fail(nil, LinkFault(.cancelled))
        }
        return state.withLock { state in
            state.places.map { place in
                guard case .answered(let answer) = place else {
                    return .failure(LinkFault(.cancelled), mayHaveRun: true)
                }
                return answer
            }
        }
    }
}

/// Whom a connection's answer is for.
enum Recipient: Sendable {
    /// The answer of a command that only prepares the next one.
    case nobody
    case call(Call, Int)
    case commit(CommitBatch, Int)
    /// The answer of the WAIT after a batch.
    case confirmation(CommitBatch)

    /// - Returns: false where it need not be sent.
    func claim() -> Bool {
        switch self {
        case .nobody, .confirmation: true
        case .call(let call, let index): call.claim(index)
        case .commit(let batch, let index): batch.claim(index)
        }
    }

    func deliver(_ value: RedisValue) {
        switch self {
        case .nobody: break
        case .call(let call, let index): call.answer(index, .reply(value, replicas: 0))
        case .commit(let batch, let index): batch.answered(index, value)
        case .confirmation(let batch): batch.confirmed(value)
        }
    }

    /// The connection has nothing to say any more about this one.
    func fail(_ fault: LinkFault, mayHaveRun: Bool) {
        switch self {
        case .nobody: break
        case .call(let call, let index): call.answer(index, .failure(fault, mayHaveRun: mayHaveRun))
        case .commit(let batch, let index): batch.failed(index, fault, mayHaveRun: mayHaveRun)
        case .confirmation(let batch): batch.lost(fault)
        }
    }

    /// Its deadline passed, an answer may still come.
    func expire(mayHaveRun: Bool) {
        switch self {
        // A batch keeps its connection until it is answered; its commits' deadlines are the lane's.
        case .nobody, .commit, .confirmation: break
        case .call(let call, let index):
            call.answer(index, .failure(LinkFault(.timeout), mayHaveRun: mayHaveRun))
        }
    }
}
