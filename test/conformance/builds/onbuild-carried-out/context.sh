echo app > app
