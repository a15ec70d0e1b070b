/// The scripts of forgetting: the tombstone with its work item, what is left of it, and its end.
import Redis

extension RedisScript {
    /// What remains to be done: the generation, until when claims hold, and the rows.
    private static let work =
        prelude + """
            local own = ARGV[1]
            local function work()
              local f = redis.call('HMGET', forgetting, own, own .. ':until')
              if not f[1] then return {} end
              local answer = {f[1], f[2] or '0', redis.call('HGET', session, 'n') or ''}
              for _, row in ipairs(redis.call('SMEMBERS', gone)) do answer[#answer + 1] = row end
              return answer
            end

            """

    static let forget = RedisScript(
        name: "forget",
        source: work + """
            local name, now, ttl, grace = ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
            local c = checkpoint()
            -- Later than every generation before it, also of a session of this name that has expired since.
            local generation = number(math.max(c.g + 1, now))
            local till = tonumber(redis.call('HGET', forgetting, own .. ':until') or 0)
            for _, first in ipairs(firsts()) do till = math.max(till, batch(number(first)).till) end
            for _, row in ipairs(redis.call('HKEYS', rows)) do redis.call('SADD', gone, row) end
            redis.call('DEL', session, turns, names, batches, rows, base .. 'live:' .. own, base .. 'events:' .. own)
            redis.call('HSET', session, 'n', name, 'g', generation, 'e', number(now + ttl))
            redis.call('HSET', forgetting, own, generation, own .. ':until', number(till))
            redis.call('ZREM', open, own)
            bump(now)
            take(c.w, own)
            keep(number(ttl + grace))
            return work()
            """)

    static let forgetWork = RedisScript(name: "forget work", source: work + "return work()")

    static let completeForget = RedisScript(
        name: "complete forget",
        source: work + """
            -- Forgotten once more meanwhile: that work is not done by this.
            if redis.call('HGET', forgetting, own) ~= ARGV[2] then return 0 end
            redis.call('HDEL', forgetting, own, own .. ':until')
            redis.call('DEL', gone)
            -- What was recalled while the rows were going may be in a cache.
            bump(tonumber(ARGV[3]))
            take(nil, own)
            return 1
            """)
}
