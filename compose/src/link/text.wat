;; Traps if bytes are not UTF-8, as lifting a string does.
;;
;; Table 3-7 of the Unicode Standard gives the well-formed sequences.
(module
  (import "memory" "memory" (memory 0))

  ;; Returns the byte at an address, or 0 (which continues nothing) past the end.
  (func $byte (param $at i32) (param $end i32) (result i32)
    (if (result i32) (i32.lt_u (local.get $at) (local.get $end))
      (then (i32.load8_u (local.get $at)))
      (else (i32.const 0))))

  ;; Traps unless a byte is from low to high.
  (func $within (param $byte i32) (param $low i32) (param $high i32)
    (if (i32.lt_u (local.get $byte) (local.get $low)) (then (unreachable)))
    (if (i32.gt_u (local.get $byte) (local.get $high)) (then (unreachable))))

  (func (export "check") (param $at i32) (param $length i32)
    (local $end i32) (local $byte i32) (local $low i32) (local $high i32)
    (local.set $end (i32.add (local.get $at) (local.get $length)))
    (loop $next
      ;; Eight ASCII bytes at a time.
      (block $slow
        (loop $fast
          (br_if $slow (i32.lt_u (i32.sub (local.get $end) (local.get $at)) (i32.const 8)))
          (br_if $slow
            (i64.ne
              (i64.and (i64.load align=1 (local.get $at)) (i64.const 0x8080808080808080))
              (i64.const 0)))
          (local.set $at (i32.add (local.get $at) (i32.const 8)))
          (br $fast)))
      (if (i32.ge_u (local.get $at) (local.get $end)) (then (return)))
      (local.set $byte (i32.load8_u (local.get $at)))
      (local.set $at (i32.add (local.get $at) (i32.const 1)))
      (br_if $next (i32.lt_u (local.get $byte) (i32.const 0x80)))
      (call $within (local.get $byte) (i32.const 0xc2) (i32.const 0xf4))
      ;; The second byte: all lead bytes but four allow any continuation.
      (local.set $low (i32.const 0x80))
      (local.set $high (i32.const 0xbf))
      (if (i32.eq (local.get $byte) (i32.const 0xe0)) (then (local.set $low (i32.const 0xa0))))
      (if (i32.eq (local.get $byte) (i32.const 0xed)) (then (local.set $high (i32.const 0x9f))))
      (if (i32.eq (local.get $byte) (i32.const 0xf0)) (then (local.set $low (i32.const 0x90))))
      (if (i32.eq (local.get $byte) (i32.const 0xf4)) (then (local.set $high (i32.const 0x8f))))
      (call $within (call $byte (local.get $at) (local.get $end)) (local.get $low) (local.get $high))
      (local.set $at (i32.add (local.get $at) (i32.const 1)))
      (br_if $next (i32.lt_u (local.get $byte) (i32.const 0xe0)))
      (call $within (call $byte (local.get $at) (local.get $end)) (i32.const 0x80) (i32.const 0xbf))
      (local.set $at (i32.add (local.get $at) (i32.const 1)))
      (br_if $next (i32.lt_u (local.get $byte) (i32.const 0xf0)))
      (call $within (call $byte (local.get $at) (local.get $end)) (i32.const 0x80) (i32.const 0xbf))
      (local.set $at (i32.add (local.get $at) (i32.const 1)))
      (br $next))))
