(component
  (import "wasi:filesystem/types@0.2.12" (instance $types
    (export "descriptor" (type $d (sub resource)))
    (export "[method]descriptor.is-same-object"
      (func (param "self" (borrow $d)) (param "other" (borrow $d)) (result bool)))))
  (import "wasi:io/poll@0.2.3" (instance $old (export "pollable" (type (sub resource)))))
  (alias export $old "pollable" (type $old-pollable))
  (import "wasi:io/poll@0.2.12" (instance $new (export "pollable" (type (sub resource)))))
  (alias export $new "pollable" (type $new-pollable))
  (import "wasi:clocks/monotonic-clock@0.2.3" (instance
    (export "pollable" (type $p (eq $old-pollable)))
    (export "subscribe-duration" (func (param "when" u64) (result (own $p))))))
  (import "wasi:clocks/monotonic-clock@0.2.12" (instance
    (export "pollable" (type $p (eq $new-pollable)))
    (export "subscribe-duration" (func (param "when" u64) (result (own $p))))))
  (core func $same (canon lower (func $types "[method]descriptor.is-same-object")))
  (core module $main
    (import "host" "same" (func $same (param i32 i32) (result i32)))
    (func (export "run") (result i32) (call $same (i32.const 1) (i32.const 1))))
  (core instance $main (instantiate $main (with "host" (instance (export "same" (func $same))))))
  (func $run (result (result)) (canon lift (core func $main "run")))
  (instance $exported (export "run" (func $run)))
  (export "wasi:cli/run@0.2.12" (instance $exported)))
