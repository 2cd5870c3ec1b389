-- Sends the requests of a file. Arguments: the file, the length of a request, their number, a seed, and the order: random, or once for
-- all in turn, divided between two threads.
local ffi = require "ffi"
ffi.cdef "int open(const char *, int, ...); void *mmap(void *, size_t, int, int, int, long);"
local PROT_READ, MAP_SHARED = 1, 1

local threads = 0
function setup(thread)
   threads = threads + 1
   thread:set("number", threads)
end

local requests, length, count, next_one
function init(args)
   length, count = tonumber(args[2]), tonumber(args[3])
   -- Mapped instead of read: the first thread starts while the next one initialises.
   local file = ffi.C.open(args[1], 0)
   assert(file >= 0, "cannot open the file")
   local start = ffi.C.mmap(nil, length * count, PROT_READ, MAP_SHARED, file, 0)
   assert(start ~= ffi.cast("void *", -1), "cannot map the file")
   requests = ffi.cast("const char *", start)
   math.randomseed(tonumber(args[4]) * 64 + number)
   if args[5] == "once" then next_one = (number - 1) * math.floor(count / 2) end
end

function request()
   local one = next_one or math.random(0, count - 1)
   if next_one then next_one = (next_one + 1) % count end
   return ffi.string(requests + one * length, length)
end

function done(summary, latency)
   local errors = summary.errors
   print(string.format(
      '\n{"micros":%d,"answers":%d,"refused":%d,"broken":%d,"p50":%d,"p95":%d,"p99":%d}',
      summary.duration, summary.requests, errors.status,
      errors.connect + errors.read + errors.write + errors.timeout,
      latency:percentile(50), latency:percentile(95), latency:percentile(99)))
end
