echo f > file
echo 'name is value, not $NAME' > expanded
echo 'name is $NAME' > literal
echo first > one
echo second > two
