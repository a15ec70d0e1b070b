/// Bounds the archiving and the warming that follow turns.
import Memory
import Synchronization

/// Bounds how much is done at once right after turns. A batch that doesn't get in is durable as a plan, and the next pass of
/// maintenance takes it; memories that don't get into L1 do so after another turn.
final class ArchiveGate: Sendable {
    private let memory: SessionMemory
    private let summarizer: Summarizer
    private let free: Mutex<Int>

    init(memory: SessionMemory, summarizer: @escaping Summarizer, limit: Int) {
        self.memory = memory
        self.summarizer = summarizer
        free = Mutex(limit)
    }

    func archive(_ plan: ArchivePlan) async {
        await enter { [memory, summarizer] in await memory.archive(plan, summarize: summarizer) }
    }

    func warm(_ scope: Scope) async {
        await enter { [memory] in await memory.warm(scope) }
    }

    private func enter(_ work: @Sendable () async -> Void) async {
        let entered = free.withLock { free in
            guard free > 0 else { return false }
            free -= 1
            return true
        }
        guard entered else { return }
        defer { free.withLock { $0 += 1 } }
        await work()
    }
}
