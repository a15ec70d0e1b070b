/// The manifest's numbers as the memory takes them.
import Memory
import PoolAPI

extension LivePolicy {
    init(_ spec: AgentPoolSpec) {
        let ownership = Self.ownership(spec)
        self.init(
            retention: 600_000,
            // A turn that is silent until its time is over still has its worker.
            ownership: (ownership + spec.concurrency.turnTimeout.duration).components.seconds * 1000,
            maxEventBytes: EventLog.maxBytes)
    }

    /// A session that has been idle for so long is nobody's, so that it may be served wherever it comes next.
    static func ownership(_ spec: AgentPoolSpec) -> Duration { spec.memory.session.idleTTL.duration }
}

extension MemoryConfiguration {
    init(_ spec: AgentPoolSpec.Memory) {
        self.init(
            bufferRounds: spec.buffer.rounds, maxSessionBytes: spec.session.maxBytes.bytes,
            idleTTL: spec.session.idleTTL.duration, checkpointTTL: spec.checkpointTTL,
            recall: RecallSettings(
                topK: spec.recall.topK, minScore: spec.recall.minScore,
                deadline: spec.recall.deadline.duration,
                embeddingDeadline: spec.recall.embeddingDeadline.duration))
    }
}
