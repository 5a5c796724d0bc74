;; Two components: one hands a list of bytes to the other, which does nothing with it.
(component
  (component $callee
    (core module $module
      (memory (export "memory") 2)
      (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 65536))
      (func (export "take") (param i32 i32)))
    (core instance $instance (instantiate $module))
    (func (export "take") (param "bytes" (list u8))
      (canon lift (core func $instance "take")
        (memory (core memory $instance "memory")) (realloc (core func $instance "realloc")))))
  (component $caller
    (import "take" (func $take (param "bytes" (list u8))))
    (core module $memory (memory (export "memory") 2))
    (core instance $memory (instantiate $memory))
    (core func $take (canon lower (func $take) (memory (core memory $memory "memory"))))
    (core module $module
      (import "" "take" (func $take (param i32 i32)))
      (func (export "run") (param $times i32) (param $bytes i32)
        (loop $again
          (call $take (i32.const 0) (local.get $bytes))
          (local.set $times (i32.sub (local.get $times) (i32.const 1)))
          (br_if $again (local.get $times)))))
    (core instance $instance
      (instantiate $module (with "" (instance (export "take" (func $take))))))
    (func (export "run") (param "times" u32) (param "bytes" u32)
      (canon lift (core func $instance "run"))))
  (instance $callee (instantiate $callee))
  (instance $caller (instantiate $caller (with "take" (func $callee "take"))))
  (export "run" (func $caller "run")))
