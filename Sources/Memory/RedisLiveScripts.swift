/// The scripts of live sessions: taking one, what its turn tells while it runs, and the workers' reports.
import Redis

extension RedisScript {
    /// Names for KEYS. A live session's fields: its worker, its turn, the turn's attempt, its request, whether it has ended, and
    /// the bytes of its events.
    private static let livePrelude = """
        local live, events = KEYS[1], KEYS[2]
        local worker = ARGV[1]

        """

    /// Takes the session, with a turn or without, unless another than the one whom the caller saw has it. Answers who has it.
    static let takeSession = RedisScript(
        name: "take session",
        source: livePrelude + """
            local seen, ownership, turn, attempt, request = ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6]
            local owner = redis.call('HGET', live, 'w')
            if owner and owner ~= worker and owner ~= seen then return owner end
            redis.call('HSET', live, 'w', worker)
            if turn ~= '' then
              redis.call('HSET', live, 't', turn, 'a', attempt, 'r', request)
              redis.call('HDEL', live, 'e')
            end
            redis.call('PEXPIRE', live, ownership)
            return worker
            """)

    /// Adds to a turn's events, if the turn is still the session's latest; the oldest go where there are too many. Answers 1,
    /// or 0 where it is another's by now, or forgotten.
    static let addEvents = RedisScript(
        name: "add events",
        source: livePrelude + """
            local turn, attempt, more, ended = ARGV[2], ARGV[3], ARGV[4], ARGV[5]
            local most, retention, ownership = tonumber(ARGV[6]), tonumber(ARGV[7]), tonumber(ARGV[8])
            local f = redis.call('HMGET', live, 'w', 't', 'a')
            if f[1] ~= worker or f[2] ~= turn or f[3] ~= attempt then return 0 end
            if more ~= '' then
              if redis.call('EXISTS', events) == 0 then redis.call('HSET', live, 'b', 0) end
              redis.call('RPUSH', events, more)
              local bytes = redis.call('HINCRBY', live, 'b', #more)
              while bytes > most do
                local old = redis.call('LPOP', events)
                bytes = redis.call('HINCRBY', live, 'b', -#(old or ''))
                if not old then break end
              end
            end
            if ended == '1' then
              redis.call('HSET', live, 'e', '1')
              redis.call('HDEL', live, 'r')
            end
            redis.call('PEXPIRE', live, math.max(ownership, retention))
            redis.call('PEXPIRE', events, math.max(retention, ended == '1' and 0 or ownership))
            return 1
            """)

    /// Who has a session and its latest turn; with an argument, also the turn's request and what is kept of its events.
    static let liveTurn = RedisScript(
        name: "live turn",
        source: """
            local f = redis.call('HMGET', KEYS[1], 'w', 't', 'a', 'e')
            local answer = {f[1] or '', f[2] or '', f[3] or '0', f[4] or ''}
            if #ARGV == 0 then return answer end
            answer[5] = redis.call('HGET', KEYS[1], 'r') or ''
            for _, piece in ipairs(redis.call('LRANGE', KEYS[2], 0, -1)) do answer[#answer + 1] = piece end
            return answer
            """)

    /// Stores a worker's report under the server's time, drops those of workers long gone, and answers all with their ages in
    /// milliseconds, behind the pool's key.
    static let report = RedisScript(
        name: "report",
        source: """
            local reports, worker, own, candidate = KEYS[1], ARGV[1], ARGV[2], ARGV[3]
            local time = redis.call('TIME')
            local now = time[1] * 1000 + math.floor(time[2] / 1000)
            redis.call('HSETNX', reports, 'key', candidate)
            redis.call('HSET', reports, worker, string.format('%.0f', now) .. ' ' .. own)
            redis.call('PEXPIRE', reports, 120000)
            local answer = {redis.call('HGET', reports, 'key')}
            local all = redis.call('HGETALL', reports)
            for index = 1, #all, 2 do
              local at, report = string.match(all[index + 1], '^(%d+) (.*)$')
              if at and all[index] ~= 'key' then
                local age = now - tonumber(at)
                if age > 60000 then
                  redis.call('HDEL', reports, all[index])
                else
                  answer[#answer + 1] = string.format('%.0f', math.max(age, 0))
                  answer[#answer + 1] = report
                end
              end
            end
            return answer
            """)
}
