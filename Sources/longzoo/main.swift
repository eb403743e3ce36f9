print("longzoo")
