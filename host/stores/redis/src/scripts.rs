//! The scripts. A script is one step of the server: nothing happens between its lines.

/// What both forms of an apply do. Keys: members, values, session. Arguments: the number, seconds
/// that a session is kept, how many guards, removed and put keys there are, and those.
///
/// The first change fails if a change can: after it, the server refuses none.
const APPLY: &str = "
local number = tonumber(ARGV[1])
local at = 6
for _ = 1, tonumber(ARGV[3]) do
    local value = redis.call('HGET', KEYS[2], ARGV[at])
    if ARGV[at + 1] == '1' then
        if value ~= ARGV[at + 2] then return 1 end
    elseif value then
        return 1
    end
    at = at + 3
end
local last, burned = string.match(redis.call('GET', KEYS[3]) or '', '^(%d+) (%d+)$')
if not last or tonumber(last) ~= number - 1 then return 2 end
local removed_end = at + tonumber(ARGV[4])
local put_end = removed_end + 2 * tonumber(ARGV[5])
for from = removed_end, put_end - 1, 1000 do
    local to = math.min(from + 999, put_end - 1)
    redis.call('HSET', KEYS[2], unpack(ARGV, from, to))
    local members = {}
    for pair = from, to, 2 do
        members[#members + 1] = 0
        members[#members + 1] = ARGV[pair]
    end
    redis.call('ZADD', KEYS[1], unpack(members))
end
for from = at, removed_end - 1, 1000 do
    local to = math.min(from + 999, removed_end - 1)
    redis.call('HDEL', KEYS[2], unpack(ARGV, from, to))
    redis.call('ZREM', KEYS[1], unpack(ARGV, from, to))
end
redis.call('SET', KEYS[3], ARGV[1] .. ' ' .. burned, 'EX', ARGV[2])
return 0
";

/// Key: the session. Arguments: the number, seconds that a session is kept.
const SETTLE: &str = "#!lua flags=allow-oom
local last, burned = string.match(redis.call('GET', KEYS[1]) or '', '^(%d+) (%d+)$')
if not last then return {-1, -1} end
if tonumber(last) == tonumber(ARGV[1]) - 1 then
    redis.call('SET', KEYS[1], ARGV[1] .. ' ' .. ARGV[1], 'EX', ARGV[2])
end
return {tonumber(last), tonumber(burned)}
";

/// Key: the values. Arguments: most bytes of the answer, and keys.
const GET: &str = "#!lua flags=no-writes
local left = tonumber(ARGV[1])
for number = 2, #ARGV do
    left = left - redis.call('HSTRLEN', KEYS[1], ARGV[number])
    if left < 0 then return redis.error_reply('TOOLARGE the values are too much for one answer') end
end
local values = {}
for from = 2, #ARGV, 1000 do
    local part = redis.call('HMGET', KEYS[1], unpack(ARGV, from, math.min(from + 999, #ARGV)))
    for number = 1, #part do values[#values + 1] = part[number] end
end
return values
";

/// Keys: members, values. Arguments: start, end, most entries, most bytes.
const SCAN: &str = "#!lua flags=no-writes
local from, to = '[' .. ARGV[1], '+'
if ARGV[2] ~= '' then to = '(' .. ARGV[2] end
local left, room = tonumber(ARGV[3]), tonumber(ARGV[4])
local page = {}
while left > 0 do
    local keys = redis.call('ZRANGEBYLEX', KEYS[1], from, to, 'LIMIT', 0, math.min(left, 256))
    if #keys == 0 then return page end
    for _, key in ipairs(keys) do
        local size = #key + redis.call('HSTRLEN', KEYS[2], key)
        if size > room and #page > 0 then return page end
        local value = redis.call('HGET', KEYS[2], key)
        if not value then return redis.error_reply('NOVALUE a key has no value') end
        room = math.max(room - size, 0)
        left = left - 1
        page[#page + 1] = key
        page[#page + 1] = value
    end
    from = '(' .. keys[#keys]
end
return page
";

/// The texts of all scripts, in the order of [`Loaded::new`].
pub(crate) fn texts() -> [String; 5] {
    [
        format!("#!lua{APPLY}"),
        // Removing works where there is no memory to put anything.
        format!("#!lua flags=allow-oom{APPLY}"),
        SETTLE.to_owned(),
        GET.to_owned(),
        SCAN.to_owned(),
    ]
}

/// The names by which the server calls the scripts.
#[derive(Debug)]
pub(crate) struct Loaded {
    pub(crate) apply: String,
    pub(crate) shrink: String,
    pub(crate) settle: String,
    pub(crate) get: String,
    pub(crate) scan: String,
}

impl Loaded {
    pub(crate) fn new([apply, shrink, settle, get, scan]: [String; 5]) -> Self {
        Self { apply, shrink, settle, get, scan }
    }
}
