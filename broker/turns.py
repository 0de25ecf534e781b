"""The Lua by which jobs take turns at one queue, so that each gets its share and none waits for ever.

Each job's messages wait in a list of their own, and the queue itself holds one token for each of them: so its length is what waits in
all, and a plain message keeps its place in the line. Whoever takes a token takes the next message of the job whose turn it is, which is
the one with the smallest pass (stride scheduling). A message moves its job's pass on by 1 / weight. A job that comes, or comes back,
starts where those who wait are, and no earlier than where it left: nobody saves up turns by being away, and nobody is made to wait for
what others had before. Whoever has no more messages leaves when its turn comes.

Tokens and lists may differ where somebody emptied one of them by hand. The lists are right: a token without a message is dropped, and
a message without a token is taken all the same.
Whoever counts both and finds a difference makes them equal.
"""

TOKEN = "turn"  # noqa: S105 - no password
TURNS, SHARES, OF_JOB, EPOCH = ":turns", ":shares", ":job:", ":epoch"
LEAST_WEIGHT = 1e-6
KEPT_SECONDS = 30 * 24 * 3600
"""How long a job's weight is known after its last message was queued."""

_NAMES = f"""
local TOKEN, TURNS, SHARES, OF_JOB = '{TOKEN}', '{TURNS}', '{SHARES}', '{OF_JOB}'
local KEPT_SHARES, LEAST_WEIGHT = {KEPT_SECONDS}, {LEAST_WEIGHT}
"""
TURN_WORDS = (
    _NAMES
    + """
local function start_of(queue, job)
  local first = redis.call('ZRANGE', queue .. TURNS, 0, 0, 'WITHSCORES')
  local kept = redis.call('HMGET', queue .. SHARES, 'now', job .. ':left')
  return math.max(tonumber(first[2] or kept[1] or 0), tonumber(kept[2] or 0))
end

local function queue_up(how, list, message)
  local queue, job = list:match('^(.*)' .. OF_JOB .. '([^:]+)$')
  local length = redis.call(how, list, message)
  if not job then return list end
  redis.call(how, queue, TOKEN)
  if length == 1 then redis.call('ZADD', queue .. TURNS, 'NX', start_of(queue, job), job) end
  return queue
end

local function mend(queue)
  for _, job in ipairs(redis.call('HKEYS', queue .. SHARES)) do
    if redis.call('EXISTS', queue .. OF_JOB .. job) == 1 and not redis.call('ZSCORE', queue .. TURNS, job) then
      redis.call('ZREM', queue .. TURNS, job)  -- first, since a full server refuses no write of a script that has written
      redis.call('ZADD', queue .. TURNS, start_of(queue, job), job)
    end
  end
end
"""
)
TAKE_A_TURN = """
local function leave(queue, job, pass)
  redis.call('ZREM', queue .. TURNS, job)
  redis.call('HSET', queue .. SHARES, 'now', pass, job .. ':left', pass)
  redis.call('EXPIRE', queue .. SHARES, KEPT_SHARES)
end

local function next_turn(queue)
  while true do
    local first = redis.call('ZRANGE', queue .. TURNS, 0, 0, 'WITHSCORES')
    local job, pass = first[1], tonumber(first[2])
    if not job then return end
    local list = queue .. OF_JOB .. job
    local message = redis.call('RPOP', list)
    if message then
      local weight = tonumber(redis.call('HGET', queue .. SHARES, job) or nil) or 1
      redis.call('ZADD', queue .. TURNS, pass + 1 / math.max(weight, LEAST_WEIGHT), job)
      return message, list
    end
    leave(queue, job, pass)
  end
end

local function next_in_line(queue)
  local mended = false
  while true do
    local element = redis.call('RPOP', queue)  -- the first write: see mend
    if element and element ~= TOKEN then return element, queue end
    local message, list = next_turn(queue)
    if message then return message, list end
    if not element then return end
    if not mended then
      mended = true
      mend(queue)
      message, list = next_turn(queue)
      if message then return message, list end
    end
  end
end
"""

CENSUS = (
    TURN_WORDS
    + """
local queue, claims, once = KEYS[1], KEYS[2], KEYS[3]
mend(queue)
local lists, waiting = {queue}, 0
for _, job in ipairs(redis.call('ZRANGE', queue .. TURNS, 0, -1)) do
  lists[#lists + 1] = queue .. OF_JOB .. job
  waiting = waiting + redis.call('LLEN', lists[#lists])
end
if redis.call('LLEN', queue) == waiting and redis.call('SCARD', once) == waiting + redis.call('HLEN', claims) then
  return redis.call('SMEMBERS', once)
end

local ids, there, tokens = {}, {}, 0
local function note(message)
  if message == TOKEN then tokens = tokens + 1 end
  local _, before = message:find('"id": "', 1, true)  -- plain, and so much faster
  local id = before and message:sub(before + 1, (message:find('"', before + 1, true) or 0) - 1) or message:match('"id": *"([^"]*)"')
  if id and not there[id] then ids[#ids + 1], there[id] = id, true end
end
for _, list in ipairs(lists) do
  for at = 0, redis.call('LLEN', list) - 1, 100 do
    for _, message in ipairs(redis.call('LRANGE', list, at, at + 99)) do note(message) end
  end
end
for _, tag in ipairs(redis.call('HKEYS', claims)) do note(redis.call('HGET', claims, tag)) end
for _, id in ipairs(redis.call('SMEMBERS', once)) do
  if not there[id] then redis.call('SREM', once, id) end
end
if tokens > waiting then redis.call('LREM', queue, tokens - waiting, TOKEN) end
for _ = tokens + 1, waiting do redis.call('LPUSH', queue, TOKEN) end
return ids
"""
)
"""Name what waits or is claimed, free the ids of messages that are gone, and have as many tokens as messages. As long as the counts agree
nobody has touched the queue by hand, and the ids are the answer; else each message is looked at, a hundred at a time.
KEYS: queue, claims, once."""

PURGE = (
    TURN_WORDS
    + """
local queue = KEYS[1]
mend(queue)
local count = redis.call('LLEN', queue)
for _, job in ipairs(redis.call('ZRANGE', queue .. TURNS, 0, -1)) do redis.call('DEL', queue .. OF_JOB .. job) end
redis.call('DEL', queue, queue .. TURNS, queue .. ':epoch')
return count
"""
)
"""Drop all that waits; claims stay. KEYS: queue. Returns how many."""
