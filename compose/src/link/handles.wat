;; The table of the guest's handles to resources of the file system: descriptors, listings, and its own
;; streams, pollables and errors.
;;
;; A handle is a number with bit 30 set. The runtime's handles are below 2^28, so the two never collide.
;; Below bit 30 it has ten bits of generation and twenty bits of place:
;;
;;     0 1 GGGGGGGGGG PPPPPPPPPPPPPPPPPPPP
;;
;; A place has 16 bytes: the valid handle (bit 30 is 0 if there is none), the kind of resource, the
;; file system's representation of the resource, and the number of its loans (or, while free, the next
;; free place). A handle is valid if it equals the number at its place: an invented one, a dropped one and
;; one of another kind trap, as the runtime's own do. The generation distinguishes a handle from earlier
;; ones at its place; it wraps around after 1,024 uses of the place.
;;
;; There are at most 2^20 handles, 16 MiB of table; one more traps.
(module
  (import "destructors" "0" (func $destroy0 (param i32)))
  (import "destructors" "1" (func $destroy1 (param i32)))
  (import "destructors" "2" (func $destroy2 (param i32)))
  (import "destructors" "3" (func $destroy3 (param i32)))
  (import "destructors" "4" (func $destroy4 (param i32)))
  (import "destructors" "5" (func $destroy5 (param i32)))

  (memory $table 1)
  (global $free (mut i32) (i32.const -1))
  (global $places (mut i32) (i32.const 0))
  ;; Set while the guest's allocator runs: by the component model, it may not call imports.
  (global (export "busy") (mut i32) (i32.const 0))

  ;; Returns the address of a handle's place, or traps.
  (func $place (param $handle i32) (param $kind i32) (result i32)
    (local $at i32)
    ;; Lower numbers are the runtime's, or those at a free place.
    (if (i32.lt_u (local.get $handle) (i32.const 0x40000000)) (then (unreachable)))
    (local.set $at (i32.shl (i32.and (local.get $handle) (i32.const 0xfffff)) (i32.const 4)))
    (if (i32.ne (i32.load $table (local.get $at)) (local.get $handle)) (then (unreachable)))
    (if (i32.ne (i32.load $table offset=4 (local.get $at)) (local.get $kind)) (then (unreachable)))
    (local.get $at))

  ;; Makes a handle.
  (func $new (export "new") (param $rep i32) (param $kind i32) (result i32)
    (local $at i32)
    (if (i32.eq (global.get $free) (i32.const -1))
      (then
        (if (i32.eq (global.get $places) (i32.const 0x100000)) (then (unreachable)))
        (local.set $at (i32.shl (global.get $places) (i32.const 4)))
        ;; A page has 4,096 places.
        (if (i32.eq (i32.shr_u (local.get $at) (i32.const 16)) (memory.size $table))
          (then
            (if (i32.eq (memory.grow $table (i32.const 1)) (i32.const -1)) (then (unreachable)))))
        (i32.store $table (local.get $at) (global.get $places))
        (global.set $places (i32.add (global.get $places) (i32.const 1))))
      (else
        (local.set $at (i32.shl (global.get $free) (i32.const 4)))
        (global.set $free (i32.load $table offset=12 (local.get $at)))))
    (i32.store $table (local.get $at)
      (i32.or (i32.load $table (local.get $at)) (i32.const 0x40000000)))
    (i32.store $table offset=4 (local.get $at) (local.get $kind))
    (i32.store $table offset=8 (local.get $at) (local.get $rep))
    (i32.store $table offset=12 (local.get $at) (i32.const 0))
    (i32.load $table (local.get $at)))

  ;; Returns the representation of a handle's resource.
  (func $rep (export "rep") (param $handle i32) (param $kind i32) (result i32)
    (i32.load $table offset=8 (call $place (local.get $handle) (local.get $kind))))

  ;; Removes a handle and returns the representation. Traps while it is lent.
  (func $take (param $handle i32) (param $kind i32) (result i32)
    (local $at i32)
    (local.set $at (call $place (local.get $handle) (local.get $kind)))
    (if (i32.load $table offset=12 (local.get $at)) (then (unreachable)))
    ;; The next generation, not valid yet.
    (i32.store $table (local.get $at)
      (i32.and
        (i32.add (local.get $handle) (i32.const 0x100000))
        (i32.const 0x3fffffff)))
    (i32.store $table offset=12 (local.get $at) (global.get $free))
    (global.set $free (i32.shr_u (local.get $at) (i32.const 4)))
    (i32.load $table offset=8 (local.get $at)))

  ;; Removes a handle and destroys its resource.
  (func $drop (export "drop") (param $handle i32) (param $kind i32)
    (local $rep i32)
    (local.set $rep (call $take (local.get $handle) (local.get $kind)))
    (block $5 (block $4 (block $3 (block $2 (block $1 (block $0
      (br_table $0 $1 $2 $3 $4 $5 (local.get $kind)))
      (return (call $destroy0 (local.get $rep))))
      (return (call $destroy1 (local.get $rep))))
      (return (call $destroy2 (local.get $rep))))
      (return (call $destroy3 (local.get $rep))))
      (return (call $destroy4 (local.get $rep))))
    (call $destroy5 (local.get $rep)))

  ;; Lends one handle for a call.
  (func $borrow (export "borrow") (param $handle i32) (param $kind i32) (result i32)
    (local $at i32)
    (local.set $at (call $place (local.get $handle) (local.get $kind)))
    (i32.store $table offset=12 (local.get $at)
      (i32.add (i32.load $table offset=12 (local.get $at)) (i32.const 1)))
    (i32.load $table offset=8 (local.get $at)))

  ;; Ends a loan of `borrow`. The handle is still valid: a lent one cannot be dropped.
  (func $give_back (export "give-back") (param $handle i32)
    (local $at i32)
    (local.set $at (i32.shl (i32.and (local.get $handle) (i32.const 0xfffff)) (i32.const 4)))
    (i32.store $table offset=12 (local.get $at)
      (i32.sub (i32.load $table offset=12 (local.get $at)) (i32.const 1))))

  ;; Returns the kind of a handle that is known to be valid.
  (func (export "kind") (param $handle i32) (result i32)
    (i32.load $table offset=4
      (i32.shl (i32.and (local.get $handle) (i32.const 0xfffff)) (i32.const 4)))))
