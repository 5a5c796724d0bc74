(component
  (import "wasi:filesystem/types@0.3.0" (instance)))
