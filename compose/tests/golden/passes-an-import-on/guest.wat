;; Exports what it imports, under the same name.
(component
  (import "wasi:filesystem/types@0.2.12" (instance $types (export "descriptor" (type (sub resource)))))
  (export "wasi:filesystem/types@0.2.12" (instance $types)))
