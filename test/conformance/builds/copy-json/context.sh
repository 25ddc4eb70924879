echo s > 'with space'
echo a > a
echo bc > 'b c'
