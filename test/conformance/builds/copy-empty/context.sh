mkdir empty
: > nothing
