/// The scripts of archiving: claim a batch, note its rows, move the checkpoint past it, or give it back.
import Redis

extension RedisScript {
    /// A claim's identity, and whether its session was forgotten since. Its holder has reported then, and writes nothing more
    /// after this, so forgetting need not wait for the claim's end.
    private static let claimed =
        prelude + """
            local own, first, last, generation, created = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4]), ARGV[5]
            local function mine()
              local b = batch(first)
              if b and number(b.last) == last and tonumber(b.generation) == generation and b.created == created then return b end
            end
            local function forgotten(c)
              if c.g <= generation then return false end
              if redis.call('HEXISTS', forgetting, own .. ':until') == 1 then redis.call('HSET', forgetting, own .. ':until', '0') end
              return true
            end
            local batchID = ARGV[6]

            """

    static let claim = RedisScript(
        name: "claim",
        source: claimed + """
            local token, till, now = ARGV[7], ARGV[8], tonumber(ARGV[9])
            local c, b = checkpoint(), mine()
            if not b or b.parked or c.g ~= generation then return {'gone'} end
            if b.till > now or b.next > now then return {'busy'} end
            for _, earlier in ipairs(firsts()) do
              if earlier < b.first and not redis.call('HGET', batches, number(earlier) .. ':parked') then return {'busy'} end
            end
            redis.call('HSET', batches, first .. ':token', token, first .. ':until', till)
            local written = {}
            local all = redis.call('HGETALL', rows)
            for index = 1, #all, 2 do
              if all[index + 1] == batchID then written[#written + 1] = all[index] end
            end
            local answer = {'granted', redis.call('HGET', session, 'r') or '', number(b.attempts), written}
            for sequence = b.first, b.last do
              local turn = redis.call('HGET', turns, number(sequence))
              if turn then
                answer[#answer + 1] = number(sequence)
                answer[#answer + 1] = turn
              end
            end
            return answer
            """)

    static let recordRows = RedisScript(
        name: "record",
        source: claimed + """
            local token, till = ARGV[7], ARGV[8]
            local c = checkpoint()
            if forgotten(c) then return 0 end
            local b = mine()
            if not b or b.token ~= token then return 0 end
            redis.call('HSET', batches, first .. ':until', till)
            for index = 9, #ARGV - 1 do redis.call('HSET', rows, ARGV[index], batchID) end
            local left = redis.call('PTTL', session)
            if left > 0 then redis.call('PEXPIRE', rows, left) end
            return 1
            """)

    static let finish = RedisScript(
        name: "finish",
        source: claimed + """
            local token, summary, now = ARGV[7], ARGV[8], tonumber(ARGV[9])
            local margin, grace = tonumber(ARGV[10]), tonumber(ARGV[11])
            local c = checkpoint()
            if forgotten(c) then return {'forgotten'} end
            local b = mine()
            if not b then
              if not c.stored then return {'lost'} end
              local answer = {'done'}
              local all = redis.call('HGETALL', rows)
              for index = 1, #all, 2 do
                if all[index + 1] == batchID then answer[#answer + 1] = all[index] end
              end
              return answer
            end
            if b.token ~= token then return {'lost'} end
            c.f, c.h = b.first, math.max(c.h, b.last)
            redis.call('HSET', session, 'f', number(c.f), 'h', number(c.h), 'r', summary)
            redis.call('HDEL', batches, first, first .. ':token', first .. ':until', first .. ':attempts', first .. ':next',
              first .. ':parked', first .. ':failure')
            local all = redis.call('HGETALL', rows)
            for index = 1, #all, 2 do
              if all[index + 1] == batchID then redis.call('HDEL', rows, all[index]) end
            end
            for index = 12, #ARGV - 1 do redis.call('HSET', rows, ARGV[index], batchID) end
            local left = redis.call('PTTL', session)
            if left > 0 then redis.call('PEXPIRE', rows, left) end
            local isParked = false
            for _, other in ipairs(firsts()) do
              if redis.call('HGET', batches, number(other) .. ':parked') then isParked = true end
            end
            if c.k == c.h and not isParked then redis.call('ZREM', open, own) end
            local archiveGeneration = bump(now)
            local versionBefore, versionAfter = take(c.w, own, '\(RedisElsewhere.archiveMark)')
            -- Where another plan waits, its time stands in the index already.
            local again, waits = nextLook(c, now, margin, grace)
            return {'archived', told(c, summary), waits and '0' or number(again), archiveGeneration, versionBefore,
              versionAfter, isParked and '1' or ''}
            """)

    static let giveBack = RedisScript(
        name: "give back",
        source: claimed + """
            local token, attempts, next, reason = ARGV[7], ARGV[8], ARGV[9], ARGV[10]
            local c = checkpoint()
            if forgotten(c) then return 0 end
            local b = mine()
            if not b or b.token ~= token then return 0 end
            redis.call('HDEL', batches, first .. ':token', first .. ':until')
            redis.call('HSET', batches, first .. ':attempts', attempts, first .. ':failure', reason)
            if next == '' then
              redis.call('HSET', batches, first .. ':parked', '1')
              take(c.w, own, '\(RedisElsewhere.archiveMark)')
            else
              redis.call('HSET', batches, first .. ':next', next)
            end
            return 1
            """)

    /// What is to be done for a session now: writes a plan for a fragment that is due, keeps the keys of one that could not be
    /// archived in time, and answers the plan that may be claimed and when to look again.
    static let attend = RedisScript(
        name: "attend",
        source: prelude + """
            local now, margin, grace = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
            local c = checkpoint()
            if not c.stored then return {} end
            local name, ends = redis.call('HGET', session, 'n') or '', checkpointEnd()
            local wrote = 0
            if c.k > c.p and now >= ends - margin then
              planned(c.p + 1, c.k, c.a, c)
              c.p = c.k
              redis.call('HSET', session, 'p', number(c.p))
              wrote = 1
            end
            if c.k > c.h or #firsts() > 0 then
              if now >= ends - margin then
                for _, key in ipairs(KEYS) do
                  if redis.call('PTTL', key) < grace then redis.call('PEXPIRE', key, number(grace * 2)) end
                end
              end
            end
            local at, b = nextLook(c, now, margin, grace)
            if b and at <= now and b.till <= now then
              return {number(wrote), name, number(now), number(b.first), number(b.last), b.agent, b.generation, b.created}
            end
            return {number(wrote), name, number(at)}
            """)

    /// Puts a session into an index. Never later than somebody was to look already, or a session with steady commits would put
    /// its look off for ever; and always at another time than it had, so that whoever has read that leaves it alone. Answers its
    /// time there, and the one that it had.
    static let enter = RedisScript(
        name: "enter",
        source: """
            local at = tonumber(ARGV[1])
            local found = redis.call('ZSCORE', KEYS[1], ARGV[2])
            local time = string.format('%.0f', math.min(at, tonumber(found or at + 1) - 1))
            redis.call('ZADD', KEYS[1], time, ARGV[2])
            return {time, found or ''}
            """)

    /// Moves a session in the work index, unless somebody has moved it since it was read; zero takes it out.
    static let reschedule = RedisScript(
        name: "reschedule",
        source: """
            local score = redis.call('ZSCORE', KEYS[1], ARGV[1])
            if not score or tonumber(score) ~= tonumber(ARGV[2]) then return 0 end
            if ARGV[3] == '0' then
              redis.call('ZREM', KEYS[1], ARGV[1])
            else
              redis.call('ZADD', KEYS[1], ARGV[3], ARGV[1])
            end
            return 1
            """)
}
