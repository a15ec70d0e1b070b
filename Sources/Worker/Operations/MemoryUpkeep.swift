/// What the memory needs while nobody asks: batches archived, fragments swept, idle sessions let go, the stores looked at.
import Memory

struct MemoryUpkeep: Sendable {
    /// Between two passes when nothing waits.
    static let pause: Duration = .seconds(1)

    let memory: SessionMemory
    let summarizer: Summarizer
    let readiness: SharedReadiness
    private let begun = ContinuousClock.now

    init(memory: SessionMemory, summarizer: @escaping Summarizer, readiness: SharedReadiness) {
        self.memory = memory
        self.summarizer = summarizer
        self.readiness = readiness
    }

    /// Runs until cancelled, which is all that ends a pause. Archiving may wait for a model; letting go of sessions and the health report don't wait for it.
    func run() async {
        await withTaskGroup(of: Void.self) { tasks in
            tasks.addTask {
                repeat {
                    while await memory.maintain(summarize: summarizer), !Task.isCancelled {}
                } while (try? await Task.sleep(for: Self.pause)) != nil
            }
            tasks.addTask {
                while (try? await Task.sleep(for: Self.pause)) != nil {
                    memory.evictIdle()
                    await memory.recount()
                    await observe()
                }
            }
        }
    }

    func observe() async {
        readiness.observe(await memory.health(), after: .now - begun)
    }
}
