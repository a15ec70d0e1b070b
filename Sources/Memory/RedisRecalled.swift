/// What recalls found in L3, kept in L2 for the principal's other workers: the same question asked elsewhere needs neither Milvus
/// nor an embedding.
import Redis

enum RedisRecalled {
    /// Answers of a principal.
    static let count = 8
    /// Milliseconds.
    static let lifetime = 900_000
    /// Bytes of an answer.
    static let largest = 64 << 10
    /// Milliseconds after an archiving within which an answer may lack what was archived: an L3 whose reads lag must not have
    /// what it left out kept for as long as the generation lasts.
    static let settling: Int64 = 10_000
}

extension RedisCheckpoints {
    public func keepRecalled(
        _ found: String, for query: Digest128, _ scope: Scope, generation: Int64, now: Int64
    ) async throws {
        // A generation is the time of the archiving that began it.
        guard found.utf8.count <= RedisRecalled.largest, now - generation >= RedisRecalled.settling
        else {
            return
        }
        _ = try await client.evaluate(
            .keepRecalled, keys: keyspace.keys(scope).all,
            arguments: [
                RedisArgument(query.description), RedisArgument(generation), RedisArgument(now),
                RedisArgument(found),
            ], isIdempotent: true)
    }
}

extension RedisScript {
    /// A cache: no replica is waited for, and whatever changes the principal's archive generation deletes it.
    fileprivate static let keepRecalled = RedisScript(
        name: "keep recalled",
        source: prelude + """
            local query, generation, now, found = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
            if redis.call('HGET', principal, 'g') ~= generation then return 0 end
            local times = recalled .. ':times'
            redis.call('HSET', recalled, query, generation .. '\\n' .. now .. '\\n' .. found)
            redis.call('ZADD', times, now, query)
            local tooMany = redis.call('ZCARD', times) - \(RedisRecalled.count)
            if tooMany > 0 then
              for _, old in ipairs(redis.call('ZRANGE', times, 0, tooMany - 1)) do
                redis.call('HDEL', recalled, old)
                redis.call('ZREM', times, old)
              end
            end
            redis.call('PEXPIRE', recalled, \(RedisRecalled.lifetime))
            redis.call('PEXPIRE', times, \(RedisRecalled.lifetime))
            return 1
            """)
}
