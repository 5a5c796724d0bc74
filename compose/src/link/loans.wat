;; Handles that are lent for the time of a call with several of them, 4 bytes each, innermost last.
;;
;; A module of its own: hosts that hand out memories from a pool allow a module one, unless told otherwise.
(module
  (memory 1)
  (global $top (mut i32) (i32.const 0))

  ;; Returns how many handles are noted as lent.
  (func (export "loans") (result i32) (global.get $top))

  ;; Notes a handle as lent, with whatever the caller puts into bit 31.
  (func (export "note") (param $handle i32)
    (local $at i32)
    (local.set $at (i32.shl (global.get $top) (i32.const 2)))
    (if (i32.eq (i32.shr_u (local.get $at) (i32.const 16)) (memory.size))
      (then (if (i32.eq (memory.grow (i32.const 1)) (i32.const -1)) (then (unreachable)))))
    (i32.store (local.get $at) (local.get $handle))
    (global.set $top (i32.add (global.get $top) (i32.const 1))))

  ;; Returns the handle that was noted last, and forgets the note.
  (func (export "unnote") (result i32)
    (global.set $top (i32.sub (global.get $top) (i32.const 1)))
    (i32.load (i32.shl (global.get $top) (i32.const 2)))))
