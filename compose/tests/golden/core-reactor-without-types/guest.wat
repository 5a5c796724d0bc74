;; A reactor for preview1 that does not carry the types of its exports.
(module
  (import "wasi_snapshot_preview1" "fd_close" (func (param i32) (result i32)))
  (memory (export "memory") 1)
  (func (export "_initialize"))
  (func (export "keep") (param i32)))
