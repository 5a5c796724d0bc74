;; Imports a function that a later WASI 0.2 may have.
(component
  (import "wasi:filesystem/preopens@0.2.13" (instance (export "get-more" (func (result u32)))))
  (core module $m (memory (export "memory") 1) (func (export "run") (result i32) i32.const 0))
  (core instance $i (instantiate $m))
  (func $r (result (result)) (canon lift (core func $i "run")))
  (instance $e (export "run" (func $r)))
  (export "wasi:cli/run@0.2.0" (instance $e)))
