;; Handles that are lent for a call with several of them: 4 bytes each, those of inner calls last.
;;
;; A module of its own: by default, hosts that pool memories allow one memory for each module.
(module
  (memory 1)
  (global $top (mut i32) (i32.const 0))

  ;; Returns the number of notes.
  (func (export "loans") (result i32) (global.get $top))

  ;; Notes a lent handle; bit 31 is for the caller.
  (func (export "note") (param $handle i32)
    (local $at i32)
    (local.set $at (i32.shl (global.get $top) (i32.const 2)))
    (if (i32.eq (i32.shr_u (local.get $at) (i32.const 16)) (memory.size))
      (then (if (i32.eq (memory.grow (i32.const 1)) (i32.const -1)) (then (unreachable)))))
    (i32.store (local.get $at) (local.get $handle))
    (global.set $top (i32.add (global.get $top) (i32.const 1))))

  ;; Removes the last note and returns its handle.
  (func (export "unnote") (result i32)
    (global.set $top (i32.sub (global.get $top) (i32.const 1)))
    (i32.load (i32.shl (global.get $top) (i32.const 2)))))
