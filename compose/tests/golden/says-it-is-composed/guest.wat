(component
  (import "wasi:filesystem/preopens@0.2.12" (instance))
  (@custom "kvfs" "version=0.1.0\nmount=/\trw\thost:secret\n"))
