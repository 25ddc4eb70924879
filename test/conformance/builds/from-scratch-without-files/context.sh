: > hello
