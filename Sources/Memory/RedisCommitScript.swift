/// The scripts that every turn runs: load a session, and commit a turn by compare-and-append.
import Redis

extension RedisScript {
    /// Names for KEYS, and the session's checkpoint. The fields' names are short because they are stored with every session:
    /// name, generation, created at, turn count, last turn's id, last turn at, agent, planned through, archived first, archived
    /// through, rolling summary, checkpoint's end, oldest turn kept, the worker that wrote last, activated skills. A principal has its archive generation,
    /// its version, and the worker that wrote last. A script that writes has that worker's name as its last argument.
    static let prelude = """
        local principal, open, forgetting = KEYS[1], KEYS[2], KEYS[3]
        local session, turns, names, batches, rows, gone = KEYS[4], KEYS[5], KEYS[6], KEYS[7], KEYS[8], KEYS[9]
        local base = string.sub(principal, 1, -(#'principal' + 1))
        local recalled = base .. 'recalled'
        local function checkpoint()
          local f = redis.call('HMGET', session, 'g', 'c', 'k', 'l', 't', 'a', 'p', 'f', 'h', 'o', 'w', 's')
          return {g = tonumber(f[1] or 0), c = tonumber(f[2] or 0), k = tonumber(f[3] or 0), l = f[4] or '',
            t = tonumber(f[5] or 0), a = f[6] or '', p = tonumber(f[7] or 0), f = tonumber(f[8] or 1),
            h = tonumber(f[9] or 0), o = tonumber(f[10] or 1), w = f[11], s = f[12] or '', stored = f[1] and true}
        end
        local function number(value) return string.format('%.0f', value) end
        local function told(c, summary)
          return {number(c.g), number(c.c), number(c.k), c.l, number(c.t), c.a, number(c.p), number(c.f), number(c.h), summary,
            c.s}
        end
        local function keep(milliseconds)
          for _, key in ipairs(KEYS) do redis.call('PEXPIRE', key, milliseconds) end
        end
        -- Cached answers of the principal's index are void from here on. Never a number that was there before, also where the
        -- key has expired since.
        local function bump(now)
          local before = tonumber(redis.call('HGET', principal, 'g') or 0)
          local after = number(math.max(before + 1, now))
          redis.call('HSET', principal, 'g', after)
          redis.call('DEL', recalled, recalled .. ':times')
          return after
        end
        -- The worker that writes is the principal's holder from here on, and the session's; those before it, who may have in memory
        -- what changes now, are told, with `mark` behind the session's name. Answers the principal's versions before and after.
        local function take(sessionHolder, own, mark)
          local worker = ARGV[#ARGV]
          local f = redis.call('HMGET', principal, 'v', 'w')
          local before, time = tonumber(f[1] or 0), redis.call('TIME')
          local after = math.max(before + 1, time[1] * 1000 + math.floor(time[2] / 1000))
          redis.call('HSET', principal, 'v', number(after), 'w', worker)
          local pool, who = string.match(principal, '^(.-){(%x+)}:principal$')
          local told = {[worker] = true}
          for _, holder in ipairs({f[2] or worker, sessionHolder or worker}) do
            if not told[holder] then
              told[holder] = true
              -- Where publishing is not permitted nobody could subscribe either: then nobody relies on it.
              redis.pcall('PUBLISH', pool .. 'held:' .. holder, who .. ':' .. own .. (mark or ''))
            end
          end
          return number(before), number(after)
        end
        -- A batch is 'last, agent, generation, created at', a line each, under its first turn; what becomes of it stands beside.
        local function batch(first)
          local value = redis.call('HGET', batches, first)
          if not value then return nil end
          local last, agent, generation, created = string.match(value, '^(%d+)\\n([^\\n]*)\\n(%d+)\\n(%d+)$')
          local f = redis.call('HMGET', batches, first .. ':token', first .. ':until', first .. ':attempts', first .. ':next',
            first .. ':parked')
          return {first = tonumber(first), last = tonumber(last), agent = agent, generation = generation, created = created,
            token = f[1], till = tonumber(f[2] or 0), attempts = tonumber(f[3] or 0), next = tonumber(f[4] or 0),
            parked = f[5] and true}
        end
        local function firsts()
          local found = {}
          for _, field in ipairs(redis.call('HKEYS', batches)) do
            if not string.find(field, ':', 1, true) then found[#found + 1] = tonumber(field) end
          end
          table.sort(found)
          return found
        end
        local function checkpointEnd() return tonumber(redis.call('HGET', session, 'e') or 0) end
        -- When somebody is to look at the session, and the plan to be claimed then. It stays in the index as long as it has keys: a
        -- commit that begins a fragment moves nothing in it, so the next look is before the checkpoint ends, whatever is archived.
        local function nextLook(c, now, margin, grace)
          for _, first in ipairs(firsts()) do
            local b = batch(number(first))
            -- Whoever has claimed it may be done long before the claim ends, and the batches behind it wait then.
            if not b.parked then return math.max(b.next, math.min(b.till, now + 5000)), b end
          end
          local ends = checkpointEnd()
          if c.k > c.h or now < ends - margin then return math.max(ends - margin, now + margin) end
          return ends + grace
        end
        local function planned(first, last, agent, c)
          redis.call('HSET', batches, number(first), number(last) .. '\\n' .. agent .. '\\n' .. number(c.g) .. '\\n' .. number(c.c))
        end

        """

    /// Answers who has the session, then the checkpoint and the turns from the context's start on; nothing behind the first where
    /// there is no session, `lost` where parts of one are missing. Where one of the workers behind the limit has it, only that.
    static let load = RedisScript(
        name: "load",
        source: prelude + """
            local limit = tonumber(ARGV[1])
            local live = redis.call('HMGET', base .. 'live:' .. string.sub(session, -32), 'w', 't', 'a', 'e')
            local answer = {{live[1] or '', live[2] or '', live[3] or '0', live[4] or ''}}
            for index = 2, #ARGV do
              if ARGV[index] == live[1] then return {'elsewhere', answer[1]} end
            end
            local c = checkpoint()
            if not c.stored then
              if redis.call('EXISTS', turns, names, batches, rows) > 0 then return 'lost' end
              return answer
            end
            local from = math.max(1, c.f, c.p - limit + 1)
            answer[2] = told(c, redis.call('HGET', session, 'r') or '')
            if limit == 0 or c.k < from then return answer end
            local wanted = {}
            for sequence = from, c.k do wanted[#wanted + 1] = number(sequence) end
            for index, turn in ipairs(redis.call('HMGET', turns, unpack(wanted))) do
              if not turn then return 'lost' end
              answer[#answer + 1] = wanted[index]
              answer[#answer + 1] = turn
            end
            return answer
            """)

    /// `CommitRule` in one atomic step, O(turn) bytes either way: the rolling summary is answered only where it is not the
    /// one that the writer knows. Where an ownership is given, the session must be the writer's or its predecessor's, and is the
    /// writer's for so long from here on.
    static let commit = RedisScript(
        name: "commit",
        source: prelude + """
            local id, ending, digest, agent, name, turn = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6]
            local knownGeneration, knownLast, knownCount = tonumber(ARGV[7]), ARGV[8], tonumber(ARGV[9])
            local knownFirst, knownThrough = tonumber(ARGV[10]), tonumber(ARGV[11])
            local now, rounds, history, ttl = tonumber(ARGV[12]), tonumber(ARGV[13]), tonumber(ARGV[14]), tonumber(ARGV[15])
            local grace, own, ownership, seen = tonumber(ARGV[16]), ARGV[17], tonumber(ARGV[18]), ARGV[19]
            local skills = ARGV[20]
            local c = checkpoint()
            if c.g > knownGeneration then return {'forgotten', number(c.g)} end
            if knownCount > 0 and not c.stored then return {'lost'} end
            if ownership > 0 then
              local live = base .. 'live:' .. own
              local owner = redis.call('HGET', live, 'w')
              if owner and owner ~= ARGV[#ARGV] and owner ~= seen then return {'elsewhere', owner} end
              redis.call('HSET', live, 'w', ARGV[#ARGV])
              redis.call('PEXPIRE', live, ownership)
            end
            local value = ending .. '\\n' .. id .. '\\n' .. digest .. '\\n' .. turn
            local function summary()
              if c.f == knownFirst and c.h == knownThrough then return false end
              return redis.call('HGET', session, 'r') or ''
            end
            -- `ActivatedSkills`: each once, the oldest go where there are too many.
            local function activate()
              local known, count = {}, 0
              for skill in string.gmatch(c.s, '[^,]+') do known[skill], count = true, count + 1 end
              for skill in string.gmatch(skills, '[^,]+') do
                if not known[skill] then
                  c.s = c.s == '' and skill or c.s .. ',' .. skill
                  known[skill], count = true, count + 1
                end
              end
              for _ = \(ActivatedSkills.limit) + 1, count do c.s = string.gsub(c.s, '^[^,]*,', '', 1) end
            end
            -- A turn that still runs is not to be archived as it is.
            local function plan()
              if ending == 'r' or c.k - c.p < rounds then return 0 end
              local first = c.p + 1
              planned(first, c.k, c.a, c)
              c.p = c.k
              return first
            end
            local place = redis.call('HGET', names, 't' .. id)
            if place then
              local before = redis.call('HGET', turns, place)
              if not before then return {'lost'} end
              local sequence = tonumber(place)
              if string.sub(before, 1, 1) == 'c' or sequence <= c.h then return {'duplicate', place, before} end
              redis.call('HSET', turns, place, value)
              if digest ~= '' then redis.call('HSET', names, 'd' .. digest, place) end
              c.t = now
              if sequence == c.k then c.a = agent end
              activate()
              local planFirst = plan()
              redis.call('HSET', session, 't', number(now), 'a', c.a, 'p', number(c.p), 'e', number(now + ttl),
                'w', ARGV[#ARGV], 's', c.s)
              local versionBefore, versionAfter = take(c.w, own)
              -- Whoever has claimed the batch read the turn as it was: the claim is void, the batch is claimed anew.
              for _, first in ipairs(firsts()) do
                local b = batch(number(first))
                if first <= sequence and b.last >= sequence then
                  redis.call('HDEL', batches, number(first) .. ':token', number(first) .. ':until')
                end
              end
              redis.call('ZADD', open, number(now), own)
              keep(number(ttl + grace))
              return {'applied', place, told(c, summary()), number(planFirst), versionBefore, versionAfter}
            end
            if c.l ~= knownLast then return {'stale', c.l} end
            if c.k == 0 then c.c = now end
            c.g, c.k, c.l, c.t, c.a = knownGeneration, c.k + 1, id, now, agent
            activate()
            local planFirst = plan()
            redis.call('HSET', turns, number(c.k), value)
            redis.call('HSET', names, 't' .. id, number(c.k))
            if digest ~= '' then redis.call('HSET', names, 'd' .. digest, number(c.k)) end
            -- Archived turns beyond the limit go, a bounded number a commit; those of a batch that has a plan stay.
            local through = math.min(c.k - history, c.h)
            if through >= c.o then
              local first = firsts()[1]
              if first then through = math.min(through, first - 1) end
              for sequence = c.o, math.min(through, c.o + 63) do
                local old = redis.call('HGET', turns, number(sequence))
                if old then
                  local _, oldID, oldDigest = string.match(old, '^(.)\\n([^\\n]*)\\n([^\\n]*)\\n')
                  redis.call('HDEL', names, 't' .. oldID)
                  if redis.call('HGET', names, 'd' .. oldDigest) == number(sequence) then
                    redis.call('HDEL', names, 'd' .. oldDigest)
                  end
                  redis.call('HDEL', turns, number(sequence))
                end
                c.o = sequence + 1
              end
            end
            redis.call('HSET', session, 'n', name, 'g', number(c.g), 'c', number(c.c), 'k', number(c.k), 'l', c.l,
              't', number(c.t), 'a', c.a, 'p', number(c.p), 'f', number(c.f), 'h', number(c.h), 'o', number(c.o),
              'e', number(now + ttl), 'w', ARGV[#ARGV], 's', c.s)
            local versionBefore, versionAfter = take(c.w, own)
            redis.call('ZADD', open, number(now), own)
            redis.call('HSETNX', principal, 'g', number(now))
            keep(number(ttl + grace))
            return {'applied', number(c.k), told(c, summary()), number(planFirst), versionBefore, versionAfter}
            """)

    /// Turns by their sequences.
    static let history = RedisScript(
        name: "history",
        source: prelude + """
            local after, limit = tonumber(ARGV[1]), tonumber(ARGV[2])
            local c = checkpoint()
            local from = math.max(c.o, after + 1)
            local wanted, answer = {}, {}
            for sequence = from, math.min(c.k, from + limit - 1) do wanted[#wanted + 1] = number(sequence) end
            if #wanted == 0 then return answer end
            for index, turn in ipairs(redis.call('HMGET', turns, unpack(wanted))) do
              if turn then
                answer[#answer + 1] = wanted[index]
                answer[#answer + 1] = turn
              end
            end
            return answer
            """)

    /// A turn by its name: `t` and its id, or `d` and its request's digest.
    static let turn = RedisScript(
        name: "turn",
        source: prelude + """
            local place = redis.call('HGET', names, ARGV[1])
            if not place then return {} end
            return {place, redis.call('HGET', turns, place) or ''}
            """)

    /// The principal's archive generation, version and holder, what is being forgotten, whether the limits left nothing out, what
    /// was kept of a recall's answer, and turns that no memory holds yet: of the sessions used last first, of each its latest.
    static let fragments = RedisScript(
        name: "fragments",
        source: prelude + """
            local sessions, room, own, before = tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[3], tonumber(ARGV[4])
            local p = redis.call('HMGET', principal, 'g', 'v', 'w')
            local query, now = ARGV[5], tonumber(ARGV[6])
            local answer = {p[1] or '0', p[2] or '0', p[3] or '', redis.call('HGETALL', forgetting), '', ''}
            if query ~= '' then
              local kept = redis.call('HGET', recalled, query)
              local generation, time, found = string.match(kept or '', '^(%d+)\\n(%d+)\\n(.*)$')
              if generation == answer[1] and now - tonumber(time) < \(RedisRecalled.lifetime) then answer[6] = found end
            end
            for _, member in ipairs(redis.call('ZREVRANGE', open, 0, sessions - 1)) do
              local f = redis.call('HMGET', base .. 'session:' .. member, 'n', 'k', 'h')
              local count, through = tonumber(f[2] or 0), tonumber(f[3] or 0)
              local ranges = {{through + 1, count}}
              -- Parked batches: their turns count as archived and are in no memory.
              local all = redis.call('HGETALL', base .. 'batches:' .. member)
              local parked, last = {}, {}
              for index = 1, #all, 2 do
                local first = string.match(all[index], '^(%d+):parked$')
                if first then parked[#parked + 1] = tonumber(first) end
                if not string.find(all[index], ':', 1, true) then
                  last[tonumber(all[index])] = tonumber(string.match(all[index + 1], '^(%d+)'))
                end
              end
              for _, first in ipairs(parked) do
                if first <= through and last[first] then ranges[#ranges + 1] = {first, math.min(last[first], through)} end
              end
              for _, range in ipairs(ranges) do
                local to = range[2]
                if member == own then to = math.min(to, before - 1) end
                local from = math.max(range[1], to - room + 1)
                if room > 0 and to >= from then
                  local wanted = {}
                  for sequence = from, to do wanted[#wanted + 1] = number(sequence) end
                  for index, turn in ipairs(redis.call('HMGET', base .. 'turns:' .. member, unpack(wanted))) do
                    if turn then
                      answer[#answer + 1] = {member, f[1] or '', wanted[index], turn}
                      room = room - 1
                    end
                  end
                end
              end
            end
            if room > 0 and redis.call('ZCARD', open) <= sessions then answer[5] = '1' end
            return answer
            """)
}
