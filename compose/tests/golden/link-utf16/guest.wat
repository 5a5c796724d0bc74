(component
  (import "wasi:filesystem/types@0.2.12" (instance $types (export "descriptor" (type (sub resource)))))
  (alias export $types "descriptor" (type $descriptor))
  (import "wasi:filesystem/preopens@0.2.12" (instance $preopens
    (export "descriptor" (type $d (eq $descriptor)))
    (export "get-directories" (func (result (list (tuple (own $d) string)))))))
  (core module $memory
    (memory (export "memory") 1)
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024)))
  (core instance $memory (instantiate $memory))
  (core func $get-directories
    (canon lower (func $preopens "get-directories")
      (memory (core memory $memory "memory")) (realloc (core func $memory "realloc")) string-encoding=utf16))
  (core module $main
    (import "host" "get-directories" (func $get-directories (param i32)))
    (func (export "run") (result i32) (call $get-directories (i32.const 8)) (i32.const 0)))
  (core instance $main (instantiate $main
    (with "host" (instance (export "get-directories" (func $get-directories))))))
  (func $run (result (result)) (canon lift (core func $main "run")))
  (instance $exported (export "run" (func $run)))
  (export "wasi:cli/run@0.2.12" (instance $exported)))
