;; Two components: one passes lists of bytes to the other and receives some; neither does anything
;; with them.
(component
  (component $callee
    (core module $module
      (memory (export "memory") 3)
      (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 65536))
      (func (export "take") (param i32 i32))
      (func (export "give") (param $bytes i32) (result i32)
        (i32.store (i32.const 16) (i32.const 65536))
        (i32.store (i32.const 20) (local.get $bytes))
        (i32.const 16)))
    (core instance $instance (instantiate $module))
    (func (export "take") (param "bytes" (list u8))
      (canon lift (core func $instance "take")
        (memory (core memory $instance "memory")) (realloc (core func $instance "realloc"))))
    (func (export "give") (param "bytes" u32) (result (list u8))
      (canon lift (core func $instance "give") (memory (core memory $instance "memory")))))
  (component $caller
    (import "take" (func $take (param "bytes" (list u8))))
    (import "give" (func $give (param "bytes" u32) (result (list u8))))
    (core module $memory
      (memory (export "memory") 3)
      (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 65536)))
    (core instance $memory (instantiate $memory))
    (core func $take (canon lower (func $take) (memory (core memory $memory "memory"))))
    (core func $give (canon lower (func $give)
      (memory (core memory $memory "memory")) (realloc (core func $memory "realloc"))))
    (core module $module
      (import "" "take" (func $take (param i32 i32)))
      (import "" "give" (func $give (param i32 i32)))
      (func (export "hand-over") (param $times i32) (param $bytes i32)
        (loop $again
          (call $take (i32.const 65536) (local.get $bytes))
          (local.set $times (i32.sub (local.get $times) (i32.const 1)))
          (br_if $again (local.get $times))))
      (func (export "ask-for") (param $times i32) (param $bytes i32)
        (loop $again
          (call $give (local.get $bytes) (i32.const 16))
          (local.set $times (i32.sub (local.get $times) (i32.const 1)))
          (br_if $again (local.get $times)))))
    (core instance $instance
      (instantiate $module (with "" (instance (export "take" (func $take)) (export "give" (func $give))))))
    (func (export "hand-over") (param "times" u32) (param "bytes" u32)
      (canon lift (core func $instance "hand-over")))
    (func (export "ask-for") (param "times" u32) (param "bytes" u32)
      (canon lift (core func $instance "ask-for"))))
  (instance $callee (instantiate $callee))
  (instance $caller (instantiate $caller
    (with "take" (func $callee "take")) (with "give" (func $callee "give"))))
  (export "hand-over" (func $caller "hand-over"))
  (export "ask-for" (func $caller "ask-for")))
