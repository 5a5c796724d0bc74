(component
  (import "kvfs:store/kv-store@0.1.0" (instance))
  (import "wasi:filesystem/preopens@0.2.12" (instance)))
