;; A guest that calls each function of kvfs:store in a loop, for the linker's tests and for timing.
;;
;; Keys are 20 bytes: sixteen `k` and a big-endian number. Values consist of the byte `v`. Each
;; export returns the outcome of its last call, as its comment says.
(component
  (import "kvfs:store/kv-store@0.1.0" (instance $kv
    (type $limits' (record (field "max-key-bytes" u32) (field "max-value-bytes" u32)
      (field "max-batch-entries" u32) (field "max-batch-bytes" u32) (field "durable" bool)))
    (export "limits" (type $limits (eq $limits')))
    (type $entry' (record (field "key" (list u8)) (field "value" (list u8))))
    (export "entry" (type $entry (eq $entry')))
    (type $guard' (record (field "key" (list u8)) (field "expected" (option (list u8)))))
    (export "guard" (type $guard (eq $guard')))
    (type $mutation' (variant (case "put" $entry) (case "delete" (list u8))))
    (export "mutation" (type $mutation (eq $mutation')))
    (type $durability' (enum "buffered" "durable"))
    (export "durability" (type $durability (eq $durability')))
    (type $error' (variant (case "conflict") (case "unknown-outcome") (case "unavailable" string)
      (case "too-large") (case "quota-exceeded") (case "read-only") (case "access-denied")
      (case "corrupt" string) (case "other" string)))
    (export "error" (type $error (eq $error')))
    (export "get-limits" (func (result (result $limits (error $error)))))
    (export "get" (func (param "keys" (list (list u8)))
      (result (result (list (option (list u8))) (error $error)))))
    (export "scan" (func (param "start" (list u8)) (param "end" (list u8))
      (param "max-entries" u32) (param "max-bytes" u32)
      (result (result (list $entry) (error $error)))))
    (export "apply" (func (param "guards" (list $guard)) (param "mutations" (list $mutation))
      (param "level" $durability) (result (result (error $error)))))
  ))

  ;; Memory: 0 result area, 4 KiB tables of pointers, 16 MiB keys, 17 MiB one value, 24 MiB heap.
  (core module $mem
    (memory (export "memory") 1024)
    (global $heap (export "heap") (mut i32) (i32.const 0x1800000))
    (func (export "realloc") (param $old i32) (param $old_len i32) (param $align i32) (param $len i32)
      (result i32)
      (local $ptr i32)
      (local.set $ptr (i32.and
        (i32.add (global.get $heap) (i32.sub (local.get $align) (i32.const 1)))
        (i32.sub (i32.const 0) (local.get $align))))
      (global.set $heap (i32.add (local.get $ptr) (local.get $len)))
      (local.get $ptr)))
  (core instance $mem (instantiate $mem))
  (alias core export $mem "memory" (core memory $memory))
  (alias core export $mem "realloc" (core func $realloc))

  (core func $get-limits (canon lower (func $kv "get-limits") (memory $memory) (realloc $realloc)))
  (core func $get (canon lower (func $kv "get") (memory $memory) (realloc $realloc)))
  (core func $scan (canon lower (func $kv "scan") (memory $memory) (realloc $realloc)))
  (core func $apply (canon lower (func $kv "apply") (memory $memory) (realloc $realloc)))

  (core module $main
    (import "mem" "memory" (memory 1024))
    (import "mem" "heap" (global $heap (mut i32)))
    (import "kv" "get-limits" (func $get_limits (param i32)))
    (import "kv" "get" (func $get (param i32 i32 i32)))
    (import "kv" "scan" (func $scan (param i32 i32 i32 i32 i32 i32 i32)))
    (import "kv" "apply" (func $apply (param i32 i32 i32 i32 i32 i32)))

    ;; Writes the key of a number at slot `i` and returns its address.
    (func $key (param $i i32) (param $number i32) (result i32)
      (local $ptr i32)
      (local.set $ptr (i32.add (i32.const 0x1000000) (i32.mul (local.get $i) (i32.const 20))))
      (memory.fill (local.get $ptr) (i32.const 107) (i32.const 16))
      (i32.store8 offset=16 (local.get $ptr) (i32.shr_u (local.get $number) (i32.const 24)))
      (i32.store8 offset=17 (local.get $ptr) (i32.shr_u (local.get $number) (i32.const 16)))
      (i32.store8 offset=18 (local.get $ptr) (i32.shr_u (local.get $number) (i32.const 8)))
      (i32.store8 offset=19 (local.get $ptr) (local.get $number))
      (local.get $ptr))

    (func $reset (global.set $heap (i32.const 0x1800000)))

    ;; Returns 0, or 1 + the number of the error's case.
    (func $status (result i32)
      (if (result i32) (i32.load8_u (i32.const 0))
        (then (i32.add (i32.load8_u (i32.const 4)) (i32.const 1)))
        (else (i32.const 0))))

    ;; Returns max-batch-entries.
    (func (export "get-limits") (result i32)
      (call $get_limits (i32.const 0))
      (i32.load (i32.const 12)))

    ;; Asks `times` times for `count` keys from `number` on. Returns -1 - status after an error,
    ;; else the length of the first value, or -1000 if it is absent.
    (func (export "get") (param $times i32) (param $count i32) (param $number i32) (result i32)
      (local $i i32)
      (loop $fill
        (if (i32.lt_u (local.get $i) (local.get $count)) (then
          (i32.store (i32.add (i32.const 0x1000) (i32.mul (local.get $i) (i32.const 8)))
            (call $key (local.get $i) (i32.add (local.get $number) (local.get $i))))
          (i32.store (i32.add (i32.const 0x1004) (i32.mul (local.get $i) (i32.const 8))) (i32.const 20))
          (local.set $i (i32.add (local.get $i) (i32.const 1)))
          (br $fill))))
      (loop $again
        (call $reset)
        (call $get (i32.const 0x1000) (local.get $count) (i32.const 0))
        (br_if $again (local.tee $times (i32.sub (local.get $times) (i32.const 1)))))
      (if (result i32) (call $status)
        (then (i32.sub (i32.const -1) (call $status)))
        (else (if (result i32) (i32.load8_u (i32.load (i32.const 4)))
          (then (i32.load offset=8 (i32.load (i32.const 4))))
          (else (i32.const -1000))))))

    ;; Scans `times` times from the start. Returns -1 - status after an error, else the number of
    ;; entries.
    (func (export "scan") (param $times i32) (param $entries i32) (param $bytes i32) (result i32)
      (loop $again
        (call $reset)
        (call $scan (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)
          (local.get $entries) (local.get $bytes) (i32.const 0))
        (br_if $again (local.tee $times (i32.sub (local.get $times) (i32.const 1)))))
      (if (result i32) (call $status)
        (then (i32.sub (i32.const -1) (call $status)))
        (else (i32.load (i32.const 8)))))

    ;; Puts `count` keys from `number` on, with values of `len` bytes, `times` times. With
    ;; `guarded`, the first key must be absent. Returns the status.
    (func (export "put") (param $times i32) (param $count i32) (param $number i32) (param $len i32)
      (param $guarded i32) (param $level i32) (result i32)
      (local $i i32) (local $m i32)
      (memory.fill (i32.const 0x1100000) (i32.const 118) (local.get $len))
      (loop $fill
        (if (i32.lt_u (local.get $i) (local.get $count)) (then
          (local.set $m (i32.add (i32.const 0x1000) (i32.mul (local.get $i) (i32.const 20))))
          (i32.store8 (local.get $m) (i32.const 0))
          (i32.store offset=4 (local.get $m)
            (call $key (local.get $i) (i32.add (local.get $number) (local.get $i))))
          (i32.store offset=8 (local.get $m) (i32.const 20))
          (i32.store offset=12 (local.get $m) (i32.const 0x1100000))
          (i32.store offset=16 (local.get $m) (local.get $len))
          (local.set $i (i32.add (local.get $i) (i32.const 1)))
          (br $fill))))
      (i32.store (i32.const 0x800) (i32.const 0x1000000))
      (i32.store (i32.const 0x804) (i32.const 20))
      (i32.store8 (i32.const 0x808) (i32.const 0))
      (loop $again
        (call $reset)
        (call $apply (i32.const 0x800) (local.get $guarded) (i32.const 0x1000) (local.get $count)
          (local.get $level) (i32.const 0))
        (br_if $again (local.tee $times (i32.sub (local.get $times) (i32.const 1)))))
      (call $status))

    ;; Deletes the key of a number. Returns the status.
    (func (export "delete") (param $number i32) (result i32)
      (i32.store8 (i32.const 0x1000) (i32.const 1))
      (i32.store (i32.const 0x1004) (call $key (i32.const 0) (local.get $number)))
      (i32.store (i32.const 0x1008) (i32.const 20))
      (call $apply (i32.const 0) (i32.const 0) (i32.const 0x1000) (i32.const 1) (i32.const 0) (i32.const 0))
      (call $status)))

  (core instance $main (instantiate $main
    (with "mem" (instance $mem))
    (with "kv" (instance
      (export "get-limits" (func $get-limits))
      (export "get" (func $get))
      (export "scan" (func $scan))
      (export "apply" (func $apply))))))

  (func (export "get-limits") (result u32) (canon lift (core func $main "get-limits")))
  (func (export "get") (param "times" u32) (param "count" u32) (param "number" u32) (result s32)
    (canon lift (core func $main "get")))
  (func (export "scan") (param "times" u32) (param "entries" u32) (param "bytes" u32) (result s32)
    (canon lift (core func $main "scan")))
  (func (export "put") (param "times" u32) (param "count" u32) (param "number" u32) (param "len" u32)
    (param "guarded" u32) (param "level" u32) (result u32)
    (canon lift (core func $main "put")))
  (func (export "delete") (param "number" u32) (result u32) (canon lift (core func $main "delete")))
)
