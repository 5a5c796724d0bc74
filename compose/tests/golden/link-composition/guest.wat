(component
  (import "wasi:filesystem/types@0.2.12" (instance $types
    (export "descriptor" (type $d (sub resource)))
    (export "[method]descriptor.is-same-object"
      (func (param "self" (borrow $d)) (param "other" (borrow $d)) (result bool)))))
  (component $inner
    (import "files" (instance $types
      (export "descriptor" (type $d (sub resource)))
      (export "[method]descriptor.is-same-object"
        (func (param "self" (borrow $d)) (param "other" (borrow $d)) (result bool)))))
    (core func $same (canon lower (func $types "[method]descriptor.is-same-object")))
    (core module $main
      (import "host" "same" (func $same (param i32 i32) (result i32)))
      (func (export "run") (result i32) (call $same (i32.const 1) (i32.const 1))))
    (core instance $main (instantiate $main (with "host" (instance (export "same" (func $same))))))
    (func $run (result (result)) (canon lift (core func $main "run")))
    (instance $exported (export "run" (func $run)))
    (export "run" (instance $exported)))
  (instance $inner (instantiate $inner (with "files" (instance $types))))
  (alias export $inner "run" (instance $run))
  (export "wasi:cli/run@0.2.12" (instance $run)))
