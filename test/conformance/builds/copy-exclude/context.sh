mkdir -p dir/sub
for f in a b1 b2 dir/keep dir/x.log dir/sub/in dir/sub/skip dir/sub/deep.log; do echo $f > $f; done
